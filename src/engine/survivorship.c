/*
 * survivorship.c: see survivorship.h.
 *
 * The order of survivors is that of sql/40_golden.sql, which says why. The rows of a cluster are first
 * brought into the order of their ids, the last step of that order; every choice is then one pass that keeps
 * the first of the best. Only the rule most_frequent and unions sort their values. So a cluster of n records
 * costs n log n comparisons for each attribute, and nothing here holds more than the rows of one cluster.
 */
#include "compat.h"

#include "access/detoast.h"
#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "engine/json_reader.h"
#include "engine/lineage.h"
#include "engine/survivorship.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/sortsupport.h"
#include "utils/typcache.h"

enum { ID, SOURCE, ALONE, FIRST_VALUE };               /* positions in a row, from 0 */
enum { RECORD_COUNT, SOURCE_COUNT, LINEAGE, RESULTS }; /* positions in a golden record */

typedef enum step_rule {
    MOST_FREQUENT,
    MOST_RECENT,
    LEAST_RECENT,
    LONGEST,
    SHORTEST,
    SOURCE_PRIORITY,
    MOST_COMPLETE_RECORD,
    MIN,
    MAX,
    UNION_OF_VALUES
} step_rule;

static const char *const rule_names[] = {
    "most_frequent",        "most_recent", "least_recent", "longest", "shortest", "source_priority",
    "most_complete_record", "min",         "max",          "union",   NULL};

typedef struct survivor_step {
    step_rule rule;
    int key;        /* position of what dates the record */
    text **sources; /* the best first */
    int source_count;
} survivor_step;

/* An attribute: positions in the row. */
typedef struct survivor_column {
    const char *name;
    int value;
    int key;
    int length; /* -1: measured here */
} survivor_column;

/* What survives from one record: an attribute, or a group of them. */
typedef struct survivor_unit {
    int *members; /* indexes of columns */
    int member_count;
    const char *rule; /* for the lineage */
    bool is_union;
    bool counts; /* the rule needs to know how many records agree with each */
    survivor_step *steps;
    int step_count;
    bool of_elements; /* a union of the elements of arrays */
    Oid array_type;   /* of a union, as what follows */
    Oid element_type;
    SortSupportData element_sort;
    int16 element_length;
    bool element_by_value;
    char element_align;
} survivor_unit;

struct golden_plan {
    Jsonb *document;
    Oid row_type;
    int32 row_typmod;
    MemoryContext context;
    TupleDesc row;
    TupleDesc result;
    survivor_column *columns;
    int column_count;
    survivor_unit *units;
    int unit_count;
    bool has_source;
    bool *blank;           /* by position: a text of blanks counts as NULL */
    SortSupportData *sort; /* by position, where it is compared */
    lineage_writer *lineage;
    value_origin *origins;
};

/* The rows of the cluster at hand, in the order of their ids. */
typedef struct cluster_rows {
    golden_plan *plan;
    uint32 count;
    int natts;
    Datum *values; /* natts a row */
    bool *nulls;
    int *filled; /* number of attributes that have a value, by row; NULL until somebody asks */
} cluster_rows;

/* ---- reading a plan ---- */

static json_node
required_member(const json_node *object, const char *name)
{
    json_node member;

    if (!json_member(object, name, &member))
        json_error(object, psprintf("the key \"%s\" is missing", name), NULL, NULL);
    return member;
}

static int
read_position(golden_plan *plan, const json_node *object, const char *name)
{
    json_node node = required_member(object, name);

    return json_integer(&node, 1, plan->row->natts) - 1;
}

static void
prepare_sort(golden_plan *plan, SortSupport sort, Oid type, Oid collation)
{
    Oid less = lookup_type_cache(type, TYPECACHE_LT_OPR)->lt_opr;

    if (!OidIsValid(less))
        ereport(ERROR,
                (errcode(ERRCODE_UNDEFINED_FUNCTION), errmsg("type %s has no order", format_type_be(type)),
                 errhint("Compare its text instead.")));
    sort->ssup_cxt = plan->context;
    sort->ssup_collation = collation;
    PrepareSortSupportFromOrderingOp(less, sort);
}

static void
prepare_comparison(golden_plan *plan, int position)
{
    Form_pg_attribute attribute = TupleDescAttr(plan->row, position);

    if (plan->sort[position].comparator == NULL)
        prepare_sort(plan, &plan->sort[position], attribute->atttypid, attribute->attcollation);
}

static void
require_type(golden_plan *plan, int position, Oid type)
{
    if (TupleDescAttr(plan->row, position)->atttypid != type)
        ereport(ERROR,
                (errcode(ERRCODE_DATATYPE_MISMATCH),
                 errmsg("column %d of the records must be of type %s, not %s", position + 1,
                        format_type_be(type), format_type_be(TupleDescAttr(plan->row, position)->atttypid))));
}

static void
read_columns(golden_plan *plan, const json_node *list)
{
    plan->column_count = json_length(list);
    plan->columns = palloc0(sizeof(survivor_column) * Max(plan->column_count, 1));
    for (int i = 0; i < plan->column_count; i++) {
        survivor_column *column = &plan->columns[i];
        json_node object = json_element(list, i), node = required_member(&object, "name");

        column->name = json_string(&node);
        column->value = read_position(plan, &object, "value");
        column->key = read_position(plan, &object, "key");
        column->length = -1;
        if (json_member(&object, "length", &node)) {
            column->length = json_integer(&node, 1, plan->row->natts) - 1;
            require_type(plan, column->length, INT4OID);
        }
        if (json_member(&object, "blank", &node) && json_boolean(&node)) {
            Oid type = getBaseType(TupleDescAttr(plan->row, column->value)->atttypid);

            if (type != TEXTOID && type != VARCHAROID && type != BPCHAROID)
                json_error(&node, "only a text, varchar or char can be blank", NULL, NULL);
            plan->blank[column->value] = true;
        }
    }
}

static void
read_steps(golden_plan *plan, survivor_unit *unit, const json_node *list)
{
    unit->step_count = json_length(list);
    unit->steps = palloc0(sizeof(survivor_step) * Max(unit->step_count, 1));
    for (int i = 0; i < unit->step_count; i++) {
        survivor_step *step = &unit->steps[i];
        json_node object = json_element(list, i), node = required_member(&object, "rule");

        step->rule = json_choice(&node, "rule", rule_names);
        unit->counts |= step->rule == MOST_FREQUENT;
        if (step->rule == MOST_RECENT || step->rule == LEAST_RECENT) {
            step->key = read_position(plan, &object, "key");
            prepare_comparison(plan, step->key);
        } else if (step->rule == SOURCE_PRIORITY) {
            node = required_member(&object, "sources");
            step->source_count = json_length(&node);
            step->sources = palloc(sizeof(text *) * Max(step->source_count, 1));
            for (int j = 0; j < step->source_count; j++) {
                json_node source = json_element(&node, j);

                step->sources[j] = cstring_to_text(json_string(&source));
            }
        }
    }
}

/* A union makes an array of single values, or takes arrays apart and makes one of their elements. */
static void
describe_union(golden_plan *plan, survivor_unit *unit, bool of_elements)
{
    int position = plan->columns[unit->members[0]].value;
    Oid type = getBaseType(TupleDescAttr(plan->row, position)->atttypid);

    unit->of_elements = of_elements;
    unit->element_type = of_elements ? get_element_type(type) : type;
    unit->array_type = of_elements ? type : get_array_type(type);
    if (!OidIsValid(unit->element_type) || !OidIsValid(unit->array_type))
        ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
                        errmsg("could not find array type for data type %s", format_type_be(type))));
    get_typlenbyvalalign(unit->element_type, &unit->element_length, &unit->element_by_value,
                         &unit->element_align);
    if (of_elements)
        prepare_sort(plan, &unit->element_sort, unit->element_type,
                     TupleDescAttr(plan->row, position)->attcollation);
}

static void
read_unit(golden_plan *plan, survivor_unit *unit, const json_node *object, bool *taken)
{
    json_node node = required_member(object, "members");

    unit->member_count = json_length(&node);
    if (unit->member_count == 0)
        json_error(&node, "found an empty list", NULL, NULL);
    unit->members = palloc(sizeof(int) * unit->member_count);
    for (int i = 0; i < unit->member_count; i++) {
        json_node member = json_element(&node, i);
        int column = json_integer(&member, 1, plan->column_count) - 1;

        if (taken[column])
            json_error(&member, "the column is in two units", NULL, NULL);
        taken[column] = true;
        unit->members[i] = column;
        prepare_comparison(plan, plan->columns[column].key);
    }
    node = required_member(object, "rule");
    unit->rule = json_string(&node);
    node = required_member(object, "union");
    unit->is_union = json_boolean(&node);
    if (unit->is_union && unit->member_count != 1)
        json_error(&node, "a union has one member", NULL, NULL);
    if (unit->is_union)
        describe_union(plan, unit, json_member(object, "elements", &node) && json_boolean(&node));
    node = required_member(object, "steps");
    read_steps(plan, unit, &node);
}

/* The result's type: the counts, the lineage, and each column, as an array where it is a union. */
static void
describe_result(golden_plan *plan)
{
    TupleDesc result = CreateTemplateTupleDesc(RESULTS + plan->column_count);

    TupleDescInitEntry(result, RECORD_COUNT + 1, "record_count", INT8OID, -1, 0);
    TupleDescInitEntry(result, SOURCE_COUNT + 1, "source_count", INT8OID, -1, 0);
    TupleDescInitEntry(result, LINEAGE + 1, "lineage", JSONBOID, -1, 0);
    for (int u = 0; u < plan->unit_count; u++) {
        const survivor_unit *unit = &plan->units[u];

        for (int m = 0; m < unit->member_count; m++) {
            int column = unit->members[m];
            Oid type = TupleDescAttr(plan->row, plan->columns[column].value)->atttypid;
            Oid result_type = unit->is_union ? unit->array_type : type;

            TupleDescInitEntry(result, RESULTS + column + 1, plan->columns[column].name, result_type, -1, 0);
        }
    }
    plan->result = BlessTupleDesc(result);
}

golden_plan *
golden_plan_read(Jsonb *document, Oid row_type, int32 row_typmod, MemoryContext context)
{
    MemoryContext caller = MemoryContextSwitchTo(context);
    golden_plan *plan = palloc0(sizeof(golden_plan));
    json_node root, node;
    bool *taken;
    const char **names;

    plan->context = context;
    plan->document = palloc(VARSIZE(document));
    memcpy(plan->document, document, VARSIZE(document));
    plan->row_type = row_type;
    plan->row_typmod = row_typmod;
    plan->row = lookup_rowtype_tupdesc_copy(row_type, row_typmod);
    if (plan->row->natts < FIRST_VALUE)
        ereport(ERROR,
                (errcode(ERRCODE_DATATYPE_MISMATCH), errmsg("the records have %d columns", plan->row->natts),
                 errdetail("They begin with the id, the source and whether there is no cluster.")));
    require_type(plan, ID, TEXTOID);
    require_type(plan, SOURCE, TEXTOID);
    require_type(plan, ALONE, BOOLOID);
    plan->blank = palloc0(sizeof(bool) * plan->row->natts);
    plan->sort = palloc0(sizeof(SortSupportData) * plan->row->natts);

    root = json_root(plan->document, "plan of golden records");
    node = required_member(&root, "source");
    plan->has_source = json_boolean(&node);
    node = required_member(&root, "columns");
    read_columns(plan, &node);
    node = required_member(&root, "units");
    plan->unit_count = json_length(&node);
    plan->units = palloc0(sizeof(survivor_unit) * Max(plan->unit_count, 1));
    taken = palloc0(sizeof(bool) * Max(plan->column_count, 1));
    for (int u = 0; u < plan->unit_count; u++) {
        json_node object = json_element(&node, u);

        read_unit(plan, &plan->units[u], &object, taken);
    }
    names = palloc(sizeof(char *) * Max(plan->column_count, 1));
    for (int i = 0; i < plan->column_count; i++) {
        if (!taken[i])
            json_error(&node, psprintf("column \"%s\" is in no unit", plan->columns[i].name), NULL, NULL);
        names[i] = plan->columns[i].name;
    }
    describe_result(plan);
    plan->lineage = lineage_writer_create(names, plan->column_count, context);
    plan->origins = palloc(sizeof(value_origin) * Max(plan->column_count, 1));
    MemoryContextSwitchTo(caller);
    return plan;
}

bool
golden_plan_is(const golden_plan *plan, const Jsonb *document, Oid row_type, int32 row_typmod)
{
    return plan->row_type == row_type && plan->row_typmod == row_typmod &&
           VARSIZE(plan->document) == VARSIZE(document) &&
           memcmp(plan->document, document, VARSIZE(document)) == 0;
}

/* ---- the rows of a cluster ---- */

static bool
is_blank(const text *value)
{
    const char *byte = VARDATA_ANY(value), *end = byte + VARSIZE_ANY_EXHDR(value);

    /* In the encodings of a server no byte of a longer character looks like one of these. */
    for (; byte < end; byte++)
        if (*byte != ' ' && *byte != '\t' && *byte != '\n' && *byte != '\r' && *byte != '\f' && *byte != '\v')
            return false;
    return true;
}

/* Takes a row apart. What is compared is decompressed and aligned once, not in every comparison. */
static void
read_row(golden_plan *plan, HeapTupleHeader row, Datum *values, bool *nulls, bool compared)
{
    HeapTupleData tuple = {
        .t_len = HeapTupleHeaderGetDatumLength(row), .t_data = row, .t_tableOid = InvalidOid};

    ItemPointerSetInvalid(&tuple.t_self);
    heap_deform_tuple(&tuple, plan->row, values, nulls);
    for (int i = 0; i < plan->row->natts; i++) {
        Form_pg_attribute attribute = TupleDescAttr(plan->row, i);

        if (nulls[i] || attribute->attlen != -1)
            continue;
        if (i < FIRST_VALUE || plan->blank[i]) {
            values[i] =
                PointerGetDatum(pg_detoast_datum_packed((struct varlena *)DatumGetPointer(values[i])));
            if (plan->blank[i])
                nulls[i] = is_blank(DatumGetTextPP(values[i]));
        } else if (compared && plan->sort[i].comparator != NULL)
            values[i] = PointerGetDatum(pg_detoast_datum((struct varlena *)DatumGetPointer(values[i])));
    }
    if (nulls[ID])
        ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("a record has no id")));
}

static int
compare_bytes(const text *left, const text *right)
{
    Size left_length = VARSIZE_ANY_EXHDR(left), right_length = VARSIZE_ANY_EXHDR(right);
    int result = memcmp(VARDATA_ANY(left), VARDATA_ANY(right), Min(left_length, right_length));

    return result != 0 ? result : left_length < right_length ? -1 : left_length > right_length;
}

static int
compare_texts(const void *a, const void *b, void *unused)
{
    return compare_bytes(*(text *const *)a, *(text *const *)b);
}

typedef struct row_place {
    const text *id;
    int characters;
    uint32 row;
} row_place;

static int
compare_ids(const void *a, const void *b, void *unused)
{
    const row_place *left = a, *right = b;

    if (left->characters != right->characters)
        return left->characters < right->characters ? -1 : 1;
    return compare_bytes(left->id, right->id);
}

static void *
allocate(Size count, Size size)
{
    return MemoryContextAllocHuge(CurrentMemoryContext, mul_size(count, size));
}

/* The smaller of two ids in byte order; NULL is none. */
static const text *
smaller_id(const text *left, const text *right)
{
    return left == NULL || compare_bytes(right, left) < 0 ? right : left;
}

/* Refuses a cluster in which an id is twice, or in which a record without a cluster met one named like its
 * id. */
static void
check_ids(const row_place *places, uint32 count, const Datum *values, const bool *nulls, int natts)
{
    const text *twice = NULL, *alone = NULL;

    for (uint32 i = 0; i < count; i++) {
        Size at = (Size)places[i].row * natts + ALONE;

        if (i > 0 && places[i].characters == places[i - 1].characters &&
            compare_bytes(places[i].id, places[i - 1].id) == 0)
            twice = smaller_id(twice, places[i].id);
        if (!nulls[at] && DatumGetBool(values[at]))
            alone = smaller_id(alone, places[i].id);
    }
    if (twice != NULL)
        ereport(ERROR, (errcode(ERRCODE_CARDINALITY_VIOLATION),
                        errmsg("the query in argument \"query\" gives id \"%s\" more than once",
                               text_to_cstring(twice)),
                        errdetail("The id must identify the record."),
                        errhint("Make it unique, for example source || ':' || id AS id.")));
    if (alone != NULL)
        ereport(ERROR, (errcode(ERRCODE_CARDINALITY_VIOLATION),
                        errmsg("record \"%s\" has no cluster, and another cluster has its id as name",
                               text_to_cstring(alone)),
                        errdetail("A record without a cluster is a cluster of its own under its id."),
                        errhint("Give every record a cluster in argument \"clusters\".")));
}

static void
read_cluster(cluster_rows *cluster, golden_plan *plan, HeapTupleHeader *rows, uint32 count)
{
    int natts = plan->row->natts;
    Size cells = mul_size(count, natts);
    Datum *values = allocate(cells, sizeof(Datum));
    bool *nulls = allocate(cells, sizeof(bool));
    row_place *places;

    *cluster = (cluster_rows){.plan = plan, .count = count, .natts = natts, .values = values, .nulls = nulls};
    for (uint32 i = 0; i < count; i++) {
        CHECK_FOR_INTERRUPTS();
        read_row(plan, rows[i], values + (Size)i * natts, nulls + (Size)i * natts, count > 1);
    }
    if (count == 1)
        return;
    places = allocate(count, sizeof(row_place));
    for (uint32 i = 0; i < count; i++) {
        const text *id = DatumGetTextPP(values[(Size)i * natts + ID]);

        places[i] = (row_place){id, pg_mbstrlen_with_len(VARDATA_ANY(id), VARSIZE_ANY_EXHDR(id)), i};
    }
    qsort_interruptible(places, count, sizeof(row_place), compare_ids, NULL);
    check_ids(places, count, values, nulls, natts);
    cluster->values = allocate(cells, sizeof(Datum));
    cluster->nulls = allocate(cells, sizeof(bool));
    for (uint32 i = 0; i < count; i++) {
        memcpy(cluster->values + (Size)i * natts, values + (Size)places[i].row * natts,
               sizeof(Datum) * natts);
        memcpy(cluster->nulls + (Size)i * natts, nulls + (Size)places[i].row * natts, sizeof(bool) * natts);
    }
    pfree(values);
    pfree(nulls);
    pfree(places);
}

static inline Size
cell(const cluster_rows *cluster, uint32 row, int position)
{
    return (Size)row * cluster->natts + position;
}

static bool
has_value(const cluster_rows *cluster, const survivor_unit *unit, uint32 row)
{
    for (int m = 0; m < unit->member_count; m++)
        if (!cluster->nulls[cell(cluster, row, cluster->plan->columns[unit->members[m]].value)])
            return true;
    return false;
}

static int
filled_members(const cluster_rows *cluster, const survivor_unit *unit, uint32 row)
{
    int filled = 0;

    for (int m = 0; m < unit->member_count; m++)
        filled += !cluster->nulls[cell(cluster, row, cluster->plan->columns[unit->members[m]].value)];
    return filled;
}

static int
filled_attributes(cluster_rows *cluster, uint32 row)
{
    if (cluster->filled == NULL) {
        cluster->filled = allocate(cluster->count, sizeof(int));
        for (uint32 i = 0; i < cluster->count; i++) {
            cluster->filled[i] = 0;
            for (int c = 0; c < cluster->plan->column_count; c++)
                cluster->filled[i] += !cluster->nulls[cell(cluster, i, cluster->plan->columns[c].value)];
        }
    }
    return cluster->filled[row];
}

static int64
unit_length(const cluster_rows *cluster, const survivor_unit *unit, uint32 row)
{
    int64 length = 0;

    for (int m = 0; m < unit->member_count; m++) {
        const survivor_column *column = &cluster->plan->columns[unit->members[m]];
        Size at = cell(cluster, row, column->value);

        if (cluster->nulls[at])
            continue;
        if (column->length >= 0) {
            Size measured = cell(cluster, row, column->length);

            length += cluster->nulls[measured] ? 0 : DatumGetInt32(cluster->values[measured]);
        } else {
            const text *value = DatumGetTextPP(cluster->values[at]);

            length += pg_mbstrlen_with_len(VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value));
        }
    }
    return length;
}

static int
compare_position(const cluster_rows *cluster, int position, uint32 left, uint32 right, bool descending)
{
    SortSupport sort = &cluster->plan->sort[position];
    Size a = cell(cluster, left, position), b = cell(cluster, right, position);
    int result;

    if (cluster->nulls[a] || cluster->nulls[b]) /* NULL is last either way */
        return (int)cluster->nulls[a] - (int)cluster->nulls[b];
    result = sort->comparator(cluster->values[a], cluster->values[b], sort);
    return descending ? (result < 0) - (result > 0) : result;
}

static int
compare_values(const cluster_rows *cluster, const survivor_unit *unit, uint32 left, uint32 right)
{
    for (int m = 0; m < unit->member_count; m++) {
        const survivor_column *column = &cluster->plan->columns[unit->members[m]];
        int result;

        /* Where another position holds what is compared, it does not know what is blank. */
        if (cluster->nulls[cell(cluster, left, column->value)] ||
            cluster->nulls[cell(cluster, right, column->value)])
            result = (int)cluster->nulls[cell(cluster, left, column->value)] -
                     (int)cluster->nulls[cell(cluster, right, column->value)];
        else
            result = compare_position(cluster, column->key, left, right, false);
        if (result != 0)
            return result;
    }
    return 0;
}

static int
source_place(const cluster_rows *cluster, const survivor_step *step, uint32 row)
{
    Size at = cell(cluster, row, SOURCE);

    if (!cluster->nulls[at])
        for (int i = 0; i < step->source_count; i++)
            if (compare_bytes(step->sources[i], DatumGetTextPP(cluster->values[at])) == 0)
                return i;
    return step->source_count;
}

/* ---- choosing ---- */

typedef struct value_order {
    const cluster_rows *cluster;
    const survivor_unit *unit;
} value_order;

static int
compare_rows(const void *a, const void *b, void *argument)
{
    const value_order *order = argument;
    uint32 left = *(const uint32 *)a, right = *(const uint32 *)b;
    int result = compare_values(order->cluster, order->unit, left, right);

    return result != 0 ? result : left < right ? -1 : 1;
}

/* The rows in the order of their values, equal ones in that of their ids. */
static uint32 *
rows_by_value(const cluster_rows *cluster, const survivor_unit *unit)
{
    value_order order = {cluster, unit};
    uint32 *rows = allocate(cluster->count, sizeof(uint32));

    for (uint32 i = 0; i < cluster->count; i++)
        rows[i] = i;
    qsort_interruptible(rows, cluster->count, sizeof(uint32), compare_rows, &order);
    return rows;
}

/* How many records agree with each, NULLs being equal. */
static uint32 *
agreeing_records(const cluster_rows *cluster, const survivor_unit *unit)
{
    uint32 *rows = rows_by_value(cluster, unit), *agreeing = allocate(cluster->count, sizeof(uint32));

    for (uint32 start = 0, end; start < cluster->count; start = end) {
        for (end = start + 1;
             end < cluster->count && compare_values(cluster, unit, rows[start], rows[end]) == 0;)
            end++;
        for (uint32 i = start; i < end; i++)
            agreeing[rows[i]] = end - start;
    }
    pfree(rows);
    return agreeing;
}

/* Less than 0: left survives over right by this step. */
static int
compare_by_step(cluster_rows *cluster, const survivor_unit *unit, const survivor_step *step,
                const uint32 *agreeing, uint32 left, uint32 right)
{
    switch (step->rule) {
    case MOST_FREQUENT:
        return agreeing[left] > agreeing[right] ? -1 : agreeing[left] < agreeing[right];
    case MOST_RECENT:
        return compare_position(cluster, step->key, left, right, true);
    case LEAST_RECENT:
        return compare_position(cluster, step->key, left, right, false);
    case LONGEST:
    case SHORTEST: {
        int64 difference = unit_length(cluster, unit, left) - unit_length(cluster, unit, right);

        return (step->rule == LONGEST ? -1 : 1) * ((difference > 0) - (difference < 0));
    }
    case SOURCE_PRIORITY:
        return source_place(cluster, step, left) - source_place(cluster, step, right);
    case MOST_COMPLETE_RECORD:
        return filled_attributes(cluster, right) - filled_attributes(cluster, left);
    case MIN:
        return compare_values(cluster, unit, left, right);
    case MAX:
        return compare_values(cluster, unit, right, left);
    case UNION_OF_VALUES:
        break;
    }
    return 0;
}

/* Less than 0: left survives over right. 0: only their ids can tell. */
static int
compare_survivors(cluster_rows *cluster, const survivor_unit *unit, const uint32 *agreeing, uint32 left,
                  uint32 right)
{
    int result = (int)has_value(cluster, unit, right) - (int)has_value(cluster, unit, left);

    for (int s = 0; result == 0 && s < unit->step_count; s++)
        result = compare_by_step(cluster, unit, &unit->steps[s], agreeing, left, right);
    if (result == 0 && unit->member_count > 1)
        result = filled_members(cluster, unit, right) - filled_members(cluster, unit, left);
    return result != 0 ? result : compare_values(cluster, unit, left, right);
}

static void
choose_unit(cluster_rows *cluster, const survivor_unit *unit, Datum *values, bool *nulls)
{
    golden_plan *plan = cluster->plan;
    uint32 *agreeing = unit->counts && cluster->count > 1 ? agreeing_records(cluster, unit) : NULL;
    uint32 best = 0;
    value_origin origin = {.rule = unit->rule, .rule_length = (int)strlen(unit->rule)};

    for (uint32 i = 1; i < cluster->count; i++) {
        CHECK_FOR_INTERRUPTS();
        if (compare_survivors(cluster, unit, agreeing, i, best) < 0)
            best = i;
    }
    origin.known = has_value(cluster, unit, best);
    origin.record = DatumGetTextPP(cluster->values[cell(cluster, best, ID)]);
    if (!cluster->nulls[cell(cluster, best, SOURCE)])
        origin.source = DatumGetTextPP(cluster->values[cell(cluster, best, SOURCE)]);
    if (agreeing != NULL) {
        origin.agreeing = agreeing[best];
        pfree(agreeing);
    } else {
        for (uint32 i = 0; i < cluster->count; i++) {
            CHECK_FOR_INTERRUPTS();
            origin.agreeing += i == best || compare_values(cluster, unit, i, best) == 0;
        }
    }
    for (int m = 0; m < unit->member_count; m++) {
        int column = unit->members[m];
        Size at = cell(cluster, best, plan->columns[column].value);

        values[column] = cluster->values[at];
        nulls[column] = cluster->nulls[at];
        plan->origins[column] = origin;
    }
}

/* All distinct values in their order; of equal ones that of the first record. */
static void
unite(cluster_rows *cluster, const survivor_unit *unit, Datum *values, bool *nulls)
{
    int column = unit->members[0];
    int position = cluster->plan->columns[column].value;
    uint32 *rows = rows_by_value(cluster, unit);
    Datum *elements = allocate(cluster->count, sizeof(Datum));
    uint32 count = 0, filled = 0;

    for (uint32 i = 0; i < cluster->count && !cluster->nulls[cell(cluster, rows[i], position)]; i++) {
        CHECK_FOR_INTERRUPTS();
        if (i == 0 || compare_values(cluster, unit, rows[i - 1], rows[i]) != 0)
            elements[count++] = cluster->values[cell(cluster, rows[i], position)];
        filled++;
    }
    nulls[column] = count == 0;
    if (count > 0)
        values[column] =
            PointerGetDatum(construct_array(elements, (int)count, unit->element_type, unit->element_length,
                                            unit->element_by_value, unit->element_align));
    cluster->plan->origins[column] = (value_origin){
        .known = filled > 0, .rule = unit->rule, .rule_length = (int)strlen(unit->rule), .agreeing = filled};
    pfree(rows);
    pfree(elements);
}

typedef struct placed_element {
    Datum value;
    uint32 place; /* in the order of records, then of their arrays */
} placed_element;

static int
compare_elements(const void *a, const void *b, void *argument)
{
    const placed_element *left = a, *right = b;
    SortSupport sort = argument;
    int result = sort->comparator(left->value, right->value, sort);

    return result != 0 ? result : left->place < right->place ? -1 : 1;
}

static bool
is_blank_element(const survivor_unit *unit, Datum value)
{
    return (unit->element_type == TEXTOID || unit->element_type == VARCHAROID ||
            unit->element_type == BPCHAROID) &&
           is_blank(DatumGetTextPP(value));
}

/* All distinct elements of the records' arrays in their order, without NULLs and blanks. */
static void
unite_elements(cluster_rows *cluster, survivor_unit *unit, Datum *values, bool *nulls)
{
    int column = unit->members[0];
    int position = cluster->plan->columns[column].value;
    Size capacity = 16;
    placed_element *found = allocate(capacity, sizeof(placed_element));
    Datum *distinct;
    uint32 count = 0, kept = 0, filled = 0;

    for (uint32 i = 0; i < cluster->count; i++) {
        Datum *elements;
        bool *element_nulls;
        int length;
        uint32 before = count;

        CHECK_FOR_INTERRUPTS();
        if (cluster->nulls[cell(cluster, i, position)])
            continue;
        deconstruct_array(DatumGetArrayTypeP(cluster->values[cell(cluster, i, position)]), unit->element_type,
                          unit->element_length, unit->element_by_value, unit->element_align, &elements,
                          &element_nulls, &length);
        for (int e = 0; e < length; e++) {
            if (element_nulls[e] || is_blank_element(unit, elements[e]))
                continue;
            if (count == capacity) {
                capacity *= 2;
                found = repalloc_huge(found, mul_size(capacity, sizeof(placed_element)));
            }
            found[count] = (placed_element){elements[e], count};
            count++;
        }
        filled += count > before;
    }
    if (count > 1)
        qsort_interruptible(found, count, sizeof(placed_element), compare_elements, &unit->element_sort);
    distinct = allocate(Max(count, 1), sizeof(Datum));
    for (uint32 i = 0; i < count; i++)
        if (i == 0 ||
            unit->element_sort.comparator(found[i - 1].value, found[i].value, &unit->element_sort) != 0)
            distinct[kept++] = found[i].value;
    nulls[column] = kept == 0;
    if (kept > 0)
        values[column] =
            PointerGetDatum(construct_array(distinct, (int)kept, unit->element_type, unit->element_length,
                                            unit->element_by_value, unit->element_align));
    cluster->plan->origins[column] = (value_origin){
        .known = filled > 0, .rule = unit->rule, .rule_length = (int)strlen(unit->rule), .agreeing = filled};
    pfree(found);
    pfree(distinct);
}

static int64
count_sources(const cluster_rows *cluster)
{
    text **sources = allocate(cluster->count, sizeof(text *));
    uint32 count = 0;
    int64 distinct = 0;

    for (uint32 i = 0; i < cluster->count; i++)
        if (!cluster->nulls[cell(cluster, i, SOURCE)])
            sources[count++] = DatumGetTextPP(cluster->values[cell(cluster, i, SOURCE)]);
    if (count > 1)
        qsort_interruptible(sources, count, sizeof(text *), compare_texts, NULL);
    for (uint32 i = 0; i < count; i++)
        distinct += i == 0 || compare_bytes(sources[i - 1], sources[i]) != 0;
    pfree(sources);
    return distinct;
}

Datum
golden_record(golden_plan *plan, HeapTupleHeader *rows, uint32 count)
{
    int natts = RESULTS + plan->column_count;
    Datum *values = palloc0(sizeof(Datum) * natts);
    bool *nulls = palloc0(sizeof(bool) * natts);
    cluster_rows cluster;

    read_cluster(&cluster, plan, rows, count);
    values[RECORD_COUNT] = Int64GetDatum(count);
    nulls[SOURCE_COUNT] = !plan->has_source;
    if (plan->has_source)
        values[SOURCE_COUNT] = Int64GetDatum(count_sources(&cluster));
    for (int u = 0; u < plan->unit_count; u++) {
        if (plan->units[u].of_elements)
            unite_elements(&cluster, &plan->units[u], values + RESULTS, nulls + RESULTS);
        else if (plan->units[u].is_union)
            unite(&cluster, &plan->units[u], values + RESULTS, nulls + RESULTS);
        else
            choose_unit(&cluster, &plan->units[u], values + RESULTS, nulls + RESULTS);
    }
    values[LINEAGE] = JsonbPGetDatum(lineage_write(plan->lineage, plan->origins));
    return HeapTupleGetDatum(heap_form_tuple(plan->result, values, nulls));
}
