/*
 * lookup_cache.c: what a session keeps between look-ups; see lookup.c. A few states and models, the last used
 * ones first.
 */
#include "compat.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "parser/parse_type.h"
#include "sql/lookup_cache.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#define MOST_STATES 16
#define MOST_MODELS 8

static lookup_state *states;
static lookup_model *models;
static SPIPlanPtr rights_plan;
static int under_way;     /* look-ups: the expressions of a model may look up, too */
static bool forget_later; /* everything, when none is under way */

static void
free_plan(SPIPlanPtr plan)
{
    if (plan != NULL)
        SPI_freeplan(plan);
}

static void
free_state(lookup_state *state)
{
    free_plan(state->keys_plan);
    free_plan(state->members_plan);
    for (int i = 0; i < state->part_count; i++)
        free_plan(state->rows_plans[i]);
    MemoryContextDelete(state->context);
}

/* Keeps at most so many states; of a model too when nothing refers to it. */
static void
trim(int most_states, int most_models)
{
    int n = 0;

    for (lookup_state **place = &states; *place != NULL;)
        if (n++ >= most_states) {
            lookup_state *gone = *place;

            *place = gone->next;
            free_state(gone);
        } else
            place = &(*place)->next;
    n = 0;
    for (lookup_model **place = &models; *place != NULL;) {
        lookup_model *model = *place;
        bool used = false;

        for (lookup_state *state = states; state != NULL && !used; state = state->next)
            used = state->model == model;
        if (n++ >= most_models && !used) {
            *place = model->next;
            free_plan(model->record_plan);
            free_plan(model->computed_plan);
            MemoryContextDelete(model->context);
        } else
            place = &model->next;
    }
}

void
lookup_enter(void)
{
    if (under_way == 0 && forget_later) {
        forget_later = false;
        trim(0, 0);
    }
    under_way++;
}

void
lookup_leave(void)
{
    under_way--;
}

void
lookup_forget_all(void)
{
    if (under_way > 1)
        forget_later = true;
    else
        trim(0, 0);
}

/* A plan that is made once and fits all parameters. */
static SPIPlanPtr
prepare(const char *query, int argument_count, Oid *argument_types)
{
    SPIPlanPtr plan = SPI_prepare_cursor(query, argument_count, argument_types, CURSOR_OPT_GENERIC_PLAN);

    if (plan == NULL)
        elog(ERROR, "SPI_prepare failed: %s", SPI_result_code_string(SPI_result));
    return plan;
}

static void
keep(SPIPlanPtr plan)
{
    if (plan != NULL)
        (void)SPI_keepplan(plan);
}

static char *
column_text(const char *name)
{
    int column = SPI_fnumber(SPI_tuptable->tupdesc, name);

    return SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, column);
}

static Datum
column_value(const char *name, bool *isnull)
{
    return SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc,
                         SPI_fnumber(SPI_tuptable->tupdesc, name), isnull);
}

static int
text_array(const char *name, MemoryContext context, char ***texts)
{
    bool isnull;
    Datum value = column_value(name, &isnull), *elements;
    bool *nulls;
    int count = 0;

    if (!isnull)
        deconstruct_array(DatumGetArrayTypeP(value), TEXTOID, -1, false, TYPALIGN_INT, &elements, &nulls,
                          &count);
    *texts = MemoryContextAlloc(context, sizeof(char *) * Max(count, 1));
    for (int i = 0; i < count; i++)
        (*texts)[i] = MemoryContextStrdup(context, TextDatumGetCString(elements[i]));
    return count;
}

static lookup_model *
find_model(const char *name, const char *environment, const char *entity, Oid owner)
{
    for (lookup_model *model = models; model != NULL; model = model->next)
        if (model->owner == owner && strcmp(model->name, name) == 0 &&
            strcmp(model->environment, environment) == 0 && strcmp(model->entity, entity) == 0)
            return model;
    return NULL;
}

/* The row of lookup_model() is SPI_tuptable's. */
static lookup_model *
make_model(const char *name, const char *environment, const char *entity, Oid owner)
{
    MemoryContext context =
        AllocSetContextCreate(CurrentMemoryContext, "mastering lookup model", ALLOCSET_DEFAULT_SIZES);
    MemoryContext before = MemoryContextSwitchTo(context);
    lookup_model *model = palloc0(sizeof(lookup_model));
    Datum arguments[2] = {CStringGetTextDatum(environment), CStringGetTextDatum(entity)};
    Oid argument_types[2] = {TEXTOID, TEXTOID}, jsonb = JSONBOID, *types;
    char *shape_query, *record_query, *computed_query, *record_source, *computed_source, **type_names;
    int type_count;
    bool isnull;
    Jsonb *document;
    query_shape *shape;
    Disguise disguise;

    model->context = context;
    model->name = pstrdup(name);
    model->environment = pstrdup(environment);
    model->entity = pstrdup(entity);
    model->owner = owner;
    if (SPI_execute_with_args("SELECT m.* FROM mastering.lookup_model($1, $2) m", 2, argument_types,
                              arguments, NULL, true, 1) != SPI_OK_SELECT ||
        SPI_processed != 1)
        elog(ERROR, "the model of a look-up could not be read");
    MemoryContextSwitchTo(context); /* SPI leaves another one */
    document = (Jsonb *)PG_DETOAST_DATUM_COPY(column_value("model", &isnull));
    model->search_path = pstrdup(column_text("search_path"));
    model->attribute_count = text_array("attributes", context, &model->attributes);
    type_count = text_array("types", context, &type_names);
    shape_query = pstrdup(column_text("shape"));
    record_source = pstrdup(column_text("record_source"));
    computed_source = pstrdup(column_text("computed_source"));

    types = palloc(sizeof(Oid) * (type_count + 2));
    types[0] = types[1] = TEXTOID;
    for (int i = 0; i < type_count; i++) {
        int32 typmod;

        parseTypeString(type_names[i], &types[i + 2], &typmod, false);
    }
    disguise = put_on(owner, model->search_path);
    shape = query_describe(shape_query);
    model->probe = probe_model_create(context, document, shape);
    record_query = probe_model_query(model->probe, record_source, false);
    computed_query = probe_model_query(model->probe, computed_source, true);
    model->record_plan = prepare(record_query, 1, &jsonb);
    if (computed_query != NULL)
        model->computed_plan = prepare(computed_query, type_count + 2, types);
    take_off(disguise);
    keep(model->record_plan);
    keep(model->computed_plan);
    MemoryContextSetParent(context, TopMemoryContext);
    model->next = models;
    models = model;
    MemoryContextSwitchTo(before);
    return model;
}

static lookup_state *
make_state(const char *environment, const char *entity, Oid owner, int64 generation)
{
    MemoryContext context =
        AllocSetContextCreate(CurrentMemoryContext, "mastering lookup state", ALLOCSET_DEFAULT_SIZES);
    MemoryContext before = MemoryContextSwitchTo(context);
    lookup_state *state = palloc0(sizeof(lookup_state));
    Datum arguments[2] = {CStringGetTextDatum(environment), CStringGetTextDatum(entity)};
    Oid argument_types[2] = {TEXTOID, TEXTOID}, arrays[2] = {INT4ARRAYOID, INT8ARRAYOID},
        numbers = INT4ARRAYOID, texts[2] = {TEXTARRAYOID, TEXTARRAYOID};
    char *name, *keys_query, *members_query, **rows_queries;

    state->context = context;
    state->environment = pstrdup(environment);
    state->entity = pstrdup(entity);
    state->owner = owner;
    state->generation = generation;
    if (SPI_execute_with_args("SELECT s.* FROM mastering.lookup_state($1, $2) s", 2, argument_types,
                              arguments, NULL, true, 1) != SPI_OK_SELECT ||
        SPI_processed != 1)
        elog(ERROR, "the state of a look-up could not be read");
    MemoryContextSwitchTo(context); /* SPI leaves another one */
    name = pstrdup(column_text("model"));
    keys_query = column_text("keys_query");
    members_query = column_text("members_query");
    state->part_count = text_array("rows_queries", context, &rows_queries);
    state->rows_plans = palloc0(sizeof(SPIPlanPtr) * Max(state->part_count, 1));
    if (keys_query != NULL)
        state->keys_plan = prepare(keys_query, 2, arrays);
    if (members_query != NULL)
        state->members_plan = prepare(members_query, 2, texts);
    for (int i = 0; i < state->part_count; i++)
        state->rows_plans[i] = prepare(rows_queries[i], 1, &numbers);
    state->model = find_model(name, environment, entity, owner);
    if (state->model == NULL)
        state->model = make_model(name, environment, entity, owner);

    keep(state->keys_plan);
    keep(state->members_plan);
    for (int i = 0; i < state->part_count; i++)
        keep(state->rows_plans[i]);
    MemoryContextSetParent(context, TopMemoryContext);
    state->next = states;
    states = state;
    MemoryContextSwitchTo(before);
    if (under_way == 1) /* others may be using any of them */
        trim(MOST_STATES, MOST_MODELS);
    return state;
}

/* What require() and may() say, without their detours; who may not is told so by require(). */
#define RIGHTS_QUERY                                                                                         \
    "SELECT e.owner, w.wide, w.wide OR mastering.role_may(mastering.caller(), e.name, '{consumer}') AS "     \
    "allowed,"                                                                                               \
    " h.generation FROM mastering.environment e"                                                             \
    " CROSS JOIN LATERAL (SELECT mastering.role_may(mastering.caller(), e.name,"                             \
    " '{author,curator,reviewer,loader}') OFFSET 0) w (wide)"                                                \
    " LEFT JOIN mastering.head h ON h.environment = e.name WHERE e.name = $1"

lookup_state *
lookup_state_for(char *environment, char *entity, bool *wide)
{
    Datum argument = CStringGetTextDatum(environment);
    Oid type = TEXTOID, owner;
    int64 generation;
    bool isnull;

    if (rights_plan == NULL) {
        SPIPlanPtr plan = prepare(RIGHTS_QUERY, 1, &type);

        keep(plan);
        rights_plan = plan;
    }
    if (SPI_execute_plan(rights_plan, &argument, NULL, true, 1) != SPI_OK_SELECT)
        elog(ERROR, "the rights to look up could not be read");
    if (SPI_processed != 1 || !DatumGetBool(column_value("allowed", &isnull))) {
        (void)SPI_execute_with_args(
            "SELECT mastering.require($1, 'author', 'curator', 'reviewer', 'loader', 'consumer')", 1, &type,
            &argument, NULL, true, 1);
        elog(ERROR, "the rights to look up are not what they were a moment ago");
    }
    owner = get_role_oid(column_text("owner"), false);
    *wide = DatumGetBool(column_value("wide", &isnull));
    generation = DatumGetInt64(column_value("generation", &isnull));
    if (isnull)
        generation = 0;
    for (lookup_state **place = &states; *place != NULL; place = &(*place)->next) {
        lookup_state *state = *place;

        if (state->generation != generation || state->owner != owner ||
            strcmp(state->environment, environment) != 0 || strcmp(state->entity, entity) != 0)
            continue;
        *place = state->next;
        state->next = states;
        states = state;
        return state;
    }
    return make_state(environment, entity, owner, generation);
}
