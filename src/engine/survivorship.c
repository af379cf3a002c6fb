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
#include "engine/survivorship_plan.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/float.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/sortsupport.h"
#include "utils/typcache.h"

/* The rows of the cluster at hand, in the order of their ids. */
typedef struct cluster_rows {
    golden_plan *plan;
    uint32 count;
    int natts;
    Datum *values; /* natts a row */
    bool *nulls;
    int *filled; /* number of attributes that have a value, by row; NULL until somebody asks */
} cluster_rows;

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

/* The choice that a record is for; choice_count where it is for none. */
static int
choice_of(const cluster_rows *cluster, const survivor_unit *unit, uint32 row)
{
    Size at;
    int number;

    if (unit->choice < 0)
        return 0;
    at = cell(cluster, row, unit->choice);
    number = cluster->nulls[at] ? 0 : DatumGetInt32(cluster->values[at]);
    return number >= 1 && number <= unit->choice_count ? number - 1 : unit->choice_count;
}

/* How many records of its choice agree with each, NULLs being equal. */
static uint32 *
agreeing_records(const cluster_rows *cluster, const survivor_unit *unit)
{
    uint32 *rows = rows_by_value(cluster, unit), *agreeing = allocate(cluster->count, sizeof(uint32));
    uint32 *counts = allocate(unit->choice_count + 1, sizeof(uint32));

    for (uint32 start = 0, end; start < cluster->count; start = end) {
        memset(counts, 0, (unit->choice_count + 1) * sizeof(uint32));
        for (end = start; end < cluster->count &&
                          (end == start || compare_values(cluster, unit, rows[start], rows[end]) == 0);
             end++)
            counts[choice_of(cluster, unit, rows[end])]++;
        for (uint32 i = start; i < end; i++)
            agreeing[rows[i]] = counts[choice_of(cluster, unit, rows[i])];
    }
    pfree(rows);
    pfree(counts);
    return agreeing;
}

/*
 * How far the record's source is trusted at the record's age, which is counted from the newest record of the
 * cluster: what decides lies in the cluster, and not in when it is looked at. A record without a date is old.
 */
static double
trust_of(const cluster_rows *cluster, const survivor_step *step, uint32 row)
{
    const source_trust *trust = &step->trust[source_place(cluster, step, row)];
    double age;

    if (step->key < 0 || trust->age <= 0)
        return trust->start;
    if (cluster->nulls[cell(cluster, row, step->key)])
        return trust->final;
    age = step->newest - DatumGetFloat8(cluster->values[cell(cluster, row, step->key)]);
    if (!(age < trust->age)) /* NaN, of two infinities, is old, too */
        return trust->final;
    return trust->start - (trust->start - trust->final) * (age / trust->age);
}

static void
find_newest(const cluster_rows *cluster, survivor_step *step)
{
    step->newest = -get_float8_infinity();
    for (uint32 i = 0; step->key >= 0 && i < cluster->count; i++) {
        Size at = cell(cluster, i, step->key);

        if (!cluster->nulls[at] && DatumGetFloat8(cluster->values[at]) > step->newest)
            step->newest = DatumGetFloat8(cluster->values[at]);
    }
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
    case TRUST: {
        double a = trust_of(cluster, step, left), b = trust_of(cluster, step, right);

        return a > b ? -1 : a < b;
    }
    case MIN:
        return compare_values(cluster, unit, left, right);
    case MAX:
        return compare_values(cluster, unit, right, left);
    case UNION_OF_VALUES:
    case AGGREGATE:
        break;
    }
    return 0;
}

/* Less than 0: left survives over right. 0: only their ids can tell. */
static int
compare_survivors(cluster_rows *cluster, const survivor_unit *unit, const uint32 *agreeing, uint32 left,
                  uint32 right)
{
    int choice = choice_of(cluster, unit, left), other = choice_of(cluster, unit, right);
    bool left_counts = choice < unit->choice_count && has_value(cluster, unit, left);
    bool right_counts = other < unit->choice_count && has_value(cluster, unit, right);
    int result = (int)right_counts - (int)left_counts;

    if (result == 0)
        result = choice - other;
    if (result == 0 && choice < unit->choice_count)
        for (int s = 0; result == 0 && s < unit->choices[choice].step_count; s++)
            result = compare_by_step(cluster, unit, &unit->choices[choice].steps[s], agreeing, left, right);
    if (result == 0 && unit->member_count > 1)
        result = filled_members(cluster, unit, right) - filled_members(cluster, unit, left);
    return result != 0 ? result : compare_values(cluster, unit, left, right);
}

static void
choose_unit(cluster_rows *cluster, const survivor_unit *unit, Datum *values, bool *nulls)
{
    golden_plan *plan = cluster->plan;
    uint32 *agreeing = NULL;
    uint32 best = 0;
    int choice;
    value_origin origin = {0};

    for (int c = 0; c < unit->choice_count; c++) {
        if (unit->choices[c].counts && cluster->count > 1 && agreeing == NULL)
            agreeing = agreeing_records(cluster, unit);
        for (int s = 0; s < unit->choices[c].step_count; s++)
            if (unit->choices[c].steps[s].rule == TRUST)
                find_newest(cluster, &unit->choices[c].steps[s]);
    }

    for (uint32 i = 1; i < cluster->count; i++) {
        CHECK_FOR_INTERRUPTS();
        if (compare_survivors(cluster, unit, agreeing, i, best) < 0)
            best = i;
    }
    choice = choice_of(cluster, unit, best);
    origin.known = choice < unit->choice_count && has_value(cluster, unit, best);
    origin.rule = unit->choices[Min(choice, unit->choice_count - 1)].rule;
    origin.rule_length = (int)strlen(origin.rule);
    origin.record = DatumGetTextPP(cluster->values[cell(cluster, best, ID)]);
    if (!cluster->nulls[cell(cluster, best, SOURCE)])
        origin.source = DatumGetTextPP(cluster->values[cell(cluster, best, SOURCE)]);
    if (agreeing != NULL && unit->choice < 0)
        origin.agreeing = agreeing[best];
    else {
        for (uint32 i = 0; i < cluster->count; i++) {
            CHECK_FOR_INTERRUPTS();
            origin.agreeing += i == best || compare_values(cluster, unit, i, best) == 0;
        }
    }
    for (int m = 0; m < unit->member_count; m++) {
        int column = unit->members[m];
        Size at = cell(cluster, best, plan->columns[column].value);

        values[column] = cluster->values[at];
        nulls[column] = cluster->nulls[at] || !origin.known;
        plan->origins[column] = origin;
    }
    if (agreeing != NULL)
        pfree(agreeing);
}

/* The value is made beside this; how many records have one to give is said here. */
static void
note_aggregate(const cluster_rows *cluster, const survivor_unit *unit, bool *nulls)
{
    value_origin *origin = &cluster->plan->origins[unit->members[0]];

    *origin = (value_origin){
        .known = true, .rule = unit->choices[0].rule, .rule_length = (int)strlen(unit->choices[0].rule)};
    for (uint32 i = 0; i < cluster->count; i++)
        origin->agreeing += has_value(cluster, unit, i);
    nulls[unit->members[0]] = true;
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
    cluster->plan->origins[column] = (value_origin){.known = filled > 0,
                                                    .rule = unit->choices[0].rule,
                                                    .rule_length = (int)strlen(unit->choices[0].rule),
                                                    .agreeing = filled};
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
    cluster->plan->origins[column] = (value_origin){.known = filled > 0,
                                                    .rule = unit->choices[0].rule,
                                                    .rule_length = (int)strlen(unit->choices[0].rule),
                                                    .agreeing = filled};
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
        if (plan->units[u].is_aggregate)
            note_aggregate(&cluster, &plan->units[u], nulls + RESULTS);
        else if (plan->units[u].of_elements)
            unite_elements(&cluster, &plan->units[u], values + RESULTS, nulls + RESULTS);
        else if (plan->units[u].is_union)
            unite(&cluster, &plan->units[u], values + RESULTS, nulls + RESULTS);
        else
            choose_unit(&cluster, &plan->units[u], values + RESULTS, nulls + RESULTS);
    }
    values[LINEAGE] = JsonbPGetDatum(lineage_write(plan->lineage, plan->origins));
    return HeapTupleGetDatum(heap_form_tuple(plan->result, values, nulls));
}
