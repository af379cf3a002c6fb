/*
 * survivorship_plan.c: reads a plan of golden records; see survivorship.h.
 */
#include "compat.h"

#include <float.h>

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "engine/json_reader.h"
#include "engine/survivorship_plan.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"

static const char *const rule_names[] = {"most_frequent",
                                         "most_recent",
                                         "least_recent",
                                         "longest",
                                         "shortest",
                                         "source_priority",
                                         "most_complete_record",
                                         "trust",
                                         "min",
                                         "max",
                                         "union",
                                         "aggregate",
                                         NULL};

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
read_sources(survivor_step *step, const json_node *object)
{
    json_node node = required_member(object, "sources");

    step->source_count = json_length(&node);
    step->sources = palloc(sizeof(text *) * Max(step->source_count, 1));
    for (int i = 0; i < step->source_count; i++) {
        json_node source = json_element(&node, i);

        step->sources[i] = cstring_to_text(json_string(&source));
    }
}

/* "trust": [start, final, age] for each source, and for all others. */
static void
read_trust(golden_plan *plan, survivor_step *step, const json_node *object)
{
    json_node node = required_member(object, "trust"), key;

    read_sources(step, object);
    if (json_length(&node) != step->source_count + 1)
        json_error(&node, "one is wanted for each source, and one for all others", NULL, NULL);
    step->trust = palloc(sizeof(source_trust) * (step->source_count + 1));
    for (int i = 0; i <= step->source_count; i++) {
        json_node one = json_element(&node, i);
        double numbers[3];

        for (int j = 0; j < 3; j++) {
            json_node number = json_element(&one, j);

            numbers[j] = json_number(&number, j < 2 ? -DBL_MAX : 0, DBL_MAX);
        }
        step->trust[i] = (source_trust){numbers[0], numbers[1], numbers[2]};
    }
    step->key = -1;
    if (json_member(object, "key", &key)) {
        step->key = json_integer(&key, 1, plan->row->natts) - 1;
        require_type(plan, step->key, FLOAT8OID);
    }
}

static void
read_steps(golden_plan *plan, survivor_choice *choice, const json_node *list)
{
    choice->step_count = json_length(list);
    choice->steps = palloc0(sizeof(survivor_step) * Max(choice->step_count, 1));
    for (int i = 0; i < choice->step_count; i++) {
        survivor_step *step = &choice->steps[i];
        json_node object = json_element(list, i), node = required_member(&object, "rule");

        step->rule = json_choice(&node, "rule", rule_names);
        choice->counts |= step->rule == MOST_FREQUENT;
        if (step->rule == MOST_RECENT || step->rule == LEAST_RECENT) {
            step->key = read_position(plan, &object, "key");
            prepare_comparison(plan, step->key);
        } else if (step->rule == SOURCE_PRIORITY)
            read_sources(step, &object);
        else if (step->rule == TRUST)
            read_trust(plan, step, &object);
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
    node = required_member(object, "union");
    unit->is_union = json_boolean(&node);
    if (unit->is_union && unit->member_count != 1)
        json_error(&node, "a union has one member", NULL, NULL);
    if (unit->is_union)
        describe_union(plan, unit, json_member(object, "elements", &node) && json_boolean(&node));
    unit->choice = -1;
    if (json_member(object, "choice", &node)) {
        unit->choice = json_integer(&node, 1, plan->row->natts) - 1;
        require_type(plan, unit->choice, INT4OID);
    }
    node = required_member(object, "choices");
    unit->choice_count = json_length(&node);
    if (unit->choice_count == 0)
        json_error(&node, "found an empty list", NULL, NULL);
    unit->choices = palloc0(sizeof(survivor_choice) * unit->choice_count);
    for (int i = 0; i < unit->choice_count; i++) {
        json_node choice = json_element(&node, i), member = required_member(&choice, "rule");

        unit->choices[i].rule = json_string(&member);
        member = required_member(&choice, "steps");
        read_steps(plan, &unit->choices[i], &member);
    }
    unit->is_aggregate = unit->choices[0].step_count == 1 && unit->choices[0].steps[0].rule == AGGREGATE;
    if (unit->is_aggregate && unit->member_count != 1)
        json_error(object, "an aggregate has one member", NULL, NULL);
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
