/*
 * lookup_cache.c: what a session keeps between look-ups; see lookup.c. A few states and models, the last used
 * ones first.
 */
#include "compat.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "parser/parse_type.h"
#include "sql/lookup_ahead.h"
#include "sql/lookup_cache.h"
#include "storage/guard.h"
#include "storage/head.h"
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

/* ---- documents ---- */

/* A member of an object; NULL where there is none. */
static JsonbValue *
member(JsonbContainer *object, const char *name)
{
    if (!JsonContainerIsObject(object))
        return NULL;
    return getKeyJsonValueFromContainer(object, name, (int)strlen(name), NULL);
}

static char *
member_text(JsonbContainer *object, const char *name)
{
    JsonbValue *value = member(object, name);

    return value != NULL && value->type == jbvString ? pnstrdup(value->val.string.val, value->val.string.len)
                                                     : NULL;
}

/* One of a head's versions, or what else the caller knows to be an object or array. */
static JsonbContainer *
member_container(JsonbContainer *object, const char *name)
{
    JsonbValue *value = object == NULL ? NULL : member(object, name);

    return value != NULL && value->type == jbvBinary ? value->val.binary.data : NULL;
}

/* mastering.path(): a step has / and ~ as ~1 and ~0. */
static char *
entity_path(const char *entity, const char *what)
{
    StringInfoData path;

    initStringInfo(&path);
    appendStringInfoString(&path, "entity/");
    for (const char *c = entity; *c != '\0'; c++)
        if (*c == '/' || *c == '~')
            appendStringInfoString(&path, *c == '/' ? "~1" : "~0");
        else
            appendStringInfoChar(&path, *c);
    if (what != NULL)
        appendStringInfo(&path, "/%s", what);
    return path.data;
}

/* The document at a path of a tree, as SPI_tuptable (hash, content) has it; NULL where there is none. */
static Jsonb *
artifact(JsonbContainer *tree, const char *path)
{
    char *hash = member_text(tree, path);

    for (uint64 i = 0; hash != NULL && i < SPI_processed; i++) {
        HeapTuple row = SPI_tuptable->vals[i];
        bool isnull;

        if (strcmp(TextDatumGetCString(SPI_getbinval(row, SPI_tuptable->tupdesc, 1, &isnull)), hash) == 0)
            return DatumGetJsonbP(SPI_getbinval(row, SPI_tuptable->tupdesc, 2, &isnull));
    }
    return NULL;
}

/* Reads the artifacts at some paths of a tree, with one query. */
static void
read_artifacts(JsonbContainer *tree, const char *const *paths, int count)
{
    Datum *hashes = palloc(sizeof(Datum) * count), argument;
    Oid type = TEXTARRAYOID;
    int found = 0;

    for (int i = 0; i < count; i++) {
        char *hash = member_text(tree, paths[i]);

        if (hash != NULL)
            hashes[found++] = CStringGetTextDatum(hash);
    }
    argument = PointerGetDatum(construct_array(hashes, found, TEXTOID, -1, false, TYPALIGN_INT));
    if (SPI_execute_with_args("SELECT a.hash, a.content FROM mastering.artifact a WHERE a.hash = ANY ($1)", 1,
                              &type, &argument, NULL, true, 0) != SPI_OK_SELECT)
        elog(ERROR, "the artifacts of a look-up could not be read");
}

/* ---- models ---- */

static lookup_model *
find_model(const char *name, const char *environment, const char *entity, Oid owner)
{
    for (lookup_model *model = models; model != NULL; model = model->next)
        if (model->owner == owner && strcmp(model->name, name) == 0 &&
            strcmp(model->environment, environment) == 0 && strcmp(model->entity, entity) == 0)
            return model;
    return NULL;
}

/* The attributes of an entity, and how a record becomes one of them: as the sources of queries. */
typedef struct record_queries {
    char **types;
    StringInfoData shape;           /* columns id, source and attributes */
    StringInfoData record_source;   /* of a jsonb, $1 */
    StringInfoData computed_source; /* of source, key and attributes, $1 ... */
} record_queries;

static record_queries
describe_entity(lookup_model *model, Jsonb *entity)
{
    JsonbContainer *attributes = member_container(&entity->root, "attributes");
    record_queries queries;
    StringInfoData columns;

    if (attributes == NULL)
        elog(ERROR, "entity \"%s\" has no attributes", model->entity);
    model->attribute_count = (int)JsonContainerSize(attributes);
    model->attributes = palloc(sizeof(char *) * Max(model->attribute_count, 1));
    queries.types = palloc(sizeof(char *) * Max(model->attribute_count, 1));
    initStringInfo(&queries.shape);
    initStringInfo(&queries.record_source);
    initStringInfo(&queries.computed_source);
    initStringInfo(&columns);
    appendStringInfoString(&queries.shape, "SELECT NULL::text AS id, NULL::text AS source");
    appendStringInfoString(&queries.record_source, "SELECT '?'::text AS id, '?'::text AS source");
    appendStringInfoString(&queries.computed_source, "SELECT $1 AS id, $2 AS source");
    for (int i = 0; i < model->attribute_count; i++) {
        JsonbValue *attribute = getIthJsonbValueFromContainer(attributes, (uint32)i);
        JsonbContainer *object = attribute->type == jbvBinary ? attribute->val.binary.data : NULL;
        char *name = object == NULL ? NULL : member_text(object, "name");
        char *type = object == NULL ? NULL : member_text(object, "type");
        const char *quoted;

        if (name == NULL || type == NULL)
            elog(ERROR, "an attribute of entity \"%s\" is malformed", model->entity);
        model->attributes[i] = name;
        queries.types[i] = type;
        quoted = quote_identifier(name);
        appendStringInfo(&queries.shape, ", NULL::%s AS %s", type, quoted);
        appendStringInfo(&queries.record_source, ", q.%s", quoted);
        appendStringInfo(&queries.computed_source, ", $%d AS %s", i + 3, quoted);
        appendStringInfo(&columns, "%s%s %s", i > 0 ? ", " : "", quoted, type);
    }
    appendStringInfo(&queries.record_source, " FROM pg_catalog.jsonb_to_record($1) AS q (%s)", columns.data);
    return queries;
}

/* What model_of() says, but for its check: what is published was run with this tree. */
static Jsonb *
model_document(JsonbContainer *tree, const char *entity)
{
    Jsonb *learnt = artifact(tree, entity_path(entity, "model"));
    Jsonb *clustering = artifact(tree, entity_path(entity, "clustering"));
    JsonbValue *model = learnt == NULL ? NULL : member(&learnt->root, "model");
    Jsonb *document;

    if (model == NULL)
        elog(ERROR, "the model of entity \"%s\" is missing", entity);
    document = JsonbValueToJsonb(model);
    if (clustering != NULL)
        document = DatumGetJsonbP(
            DirectFunctionCall2(jsonb_concat, JsonbPGetDatum(document), JsonbPGetDatum(clustering)));
    return document;
}

static lookup_model *
make_model(const char *name, JsonbContainer *tree, const char *environment, const char *entity, Oid owner)
{
    MemoryContext context =
        AllocSetContextCreate(CurrentMemoryContext, "mastering lookup model", ALLOCSET_DEFAULT_SIZES);
    MemoryContext before = MemoryContextSwitchTo(context);
    lookup_model *model = palloc0(sizeof(lookup_model));
    const char *paths[] = {entity_path(entity, NULL), entity_path(entity, "model"),
                           entity_path(entity, "clustering")};
    Oid jsonb = JSONBOID, *types;
    char *record_query, *computed_query;
    record_queries queries;
    Jsonb *document;
    query_shape *shape;
    Disguise disguise;

    model->context = context;
    model->name = pstrdup(name);
    model->environment = pstrdup(environment);
    model->entity = pstrdup(entity);
    model->owner = owner;
    model->search_path = psprintf("pg_catalog, %s, mastering, pg_temp", quote_identifier(environment));
    read_artifacts(tree, paths, lengthof(paths));
    MemoryContextSwitchTo(context); /* SPI leaves another one */
    {
        Jsonb *document_of_entity = artifact(tree, paths[0]);

        if (document_of_entity == NULL)
            elog(ERROR, "entity \"%s\" is missing", entity);
        queries = describe_entity(model, document_of_entity);
    }
    document = model_document(tree, entity);

    types = palloc(sizeof(Oid) * (model->attribute_count + 2));
    types[0] = types[1] = TEXTOID;
    for (int i = 0; i < model->attribute_count; i++) {
        int32 typmod;

        parseTypeString(queries.types[i], &types[i + 2], &typmod, false);
    }
    disguise = put_on(owner, model->search_path);
    shape = query_describe(queries.shape.data);
    model->probe = probe_model_create(context, document, shape);
    record_query = probe_model_query(model->probe, queries.record_source.data, false);
    computed_query = probe_model_query(model->probe, queries.computed_source.data, true);
    model->record_plan = prepare(record_query, 1, &jsonb);
    if (computed_query != NULL)
        model->computed_plan = prepare(computed_query, model->attribute_count + 2, types);
    take_off(disguise);
    keep(model->record_plan);
    keep(model->computed_plan);
    MemoryContextSetParent(context, TopMemoryContext);
    model->next = models;
    models = model;
    MemoryContextSwitchTo(before);
    return model;
}

/* ---- states ---- */

static void
read_parts(lookup_state *state, const HeadRow *head, JsonbContainer *keys, const char *entity)
{
    JsonbContainer *of = member_container(keys, "of");
    RelationVersion key_segments, records;

    if (!mastering_find_version(head, psprintf("%s_keys", entity), &key_segments) ||
        !mastering_find_version(head, psprintf("%s_records", entity), &records))
        return;
    state->parts = palloc(sizeof(lookup_part) * Max(key_segments.count, 1));
    for (int i = 0; i < key_segments.count; i++) {
        JsonbValue *number = of == NULL ? NULL : getIthJsonbValueFromContainer(of, (uint32)i);
        int32 segment;

        if (number == NULL || number->type != jbvNumeric)
            elog(ERROR, "the version of keys of entity \"%s\" is malformed", entity);
        segment = DatumGetInt32(DirectFunctionCall1(numeric_int4, NumericGetDatum(number->val.numeric)));
        for (int r = 0; r < records.count; r++)
            if (records.segments[r] == segment)
                state->parts[state->part_count++] =
                    (lookup_part){key_segments.segments[i], segment, records.vectors[r], NULL};
    }
}

static void
read_members(lookup_state *state, const HeadRow *head, const char *entity)
{
    RelationVersion members;

    if (!mastering_find_version(head, psprintf("%s_members", entity), &members))
        return;
    state->members = palloc(sizeof(lookup_members) * Max(members.count, 1));
    for (int i = 0; i < members.count; i++)
        state->members[state->member_count++] = (lookup_members){members.segments[i], members.vectors[i]};
}

/* The head, if the environment has the entity and has published a run of it. */
static HeadRow
published_head(const char *environment, const char *entity)
{
    Datum arguments[2] = {CStringGetTextDatum(environment), CStringGetTextDatum(entity_path(entity, NULL))};
    Oid types[2] = {TEXTOID, TEXTOID};
    HeadRow head = {0};
    bool isnull;

    if (SPI_execute_with_args("SELECT h.versions FROM mastering.head h JOIN mastering.configuration c"
                              " ON c.environment = h.environment AND c.tree ? $2 WHERE h.environment = $1",
                              2, types, arguments, NULL, true, 1) != SPI_OK_SELECT)
        elog(ERROR, "the state of a look-up could not be read");
    if (SPI_processed == 1)
        head.versions = DatumGetJsonbPCopy(column_value("versions", &isnull));
    if (head.versions == NULL || member(&head.versions->root, psprintf("%s_keys", entity)) == NULL) {
        arguments[1] = CStringGetTextDatum(entity);
        (void)SPI_execute_with_args("SELECT mastering.require_run($1, $2)", 2, types, arguments, NULL, true,
                                    1);
        elog(ERROR, "what entity \"%s\" publishes could not be read", entity);
    }
    return head;
}

static lookup_state *
make_state(const char *environment, const char *entity, Oid owner, int64 generation)
{
    MemoryContext context =
        AllocSetContextCreate(CurrentMemoryContext, "mastering lookup state", ALLOCSET_DEFAULT_SIZES);
    MemoryContext before = MemoryContextSwitchTo(context);
    lookup_state *state = palloc0(sizeof(lookup_state));
    HeadRow head;
    JsonbContainer *keys, *tree;
    char *name;

    state->context = context;
    state->environment = pstrdup(environment);
    state->entity = pstrdup(entity);
    state->owner = owner;
    state->generation = generation;
    MemoryContextSwitchTo(before);
    head = published_head(environment, entity);
    keys = member_container(&head.versions->root, psprintf("%s_keys", entity));
    tree = member_container(keys, "tree");
    if (tree == NULL)
        elog(ERROR, "the version of keys of entity \"%s\" is malformed", entity);
    name = JsonbToCString(NULL, tree, 256);
    MemoryContextSwitchTo(context); /* SPI leaves another one */
    read_parts(state, &head, keys, entity);
    read_members(state, &head, entity);
    state->model = find_model(name, environment, entity, owner);
    if (state->model == NULL)
        state->model = make_model(name, tree, environment, entity, owner);

    MemoryContextSetParent(context, TopMemoryContext);
    MemoryContextSwitchTo(before);
    state->next = states;
    states = state;
    if (under_way == 1) /* others may be using any of them */
        trim(MOST_STATES, MOST_MODELS);
    return state;
}

/* What require() and may() say, without their detours; who may not is told so by require(). $2: the caller is
 * a superuser, of whom nothing needs to be asked.
 */
#define RIGHTS_QUERY                                                                                         \
    "SELECT e.owner, w.wide, w.wide OR mastering.role_may(mastering.caller(), e.name, '{consumer}') AS "     \
    "allowed,"                                                                                               \
    " h.generation FROM mastering.environment e"                                                             \
    " CROSS JOIN LATERAL (SELECT $2 OR mastering.role_may(mastering.caller(), e.name,"                       \
    " '{author,curator,reviewer,loader}') OFFSET 0) w (wide)"                                                \
    " LEFT JOIN mastering.head h ON h.environment = e.name WHERE e.name = $1"

lookup_state *
lookup_state_for(char *environment, char *entity, bool *wide)
{
    Oid caller = OidIsValid(mastering_guard_caller()) ? mastering_guard_caller() : GetUserId();
    Datum arguments[2] = {CStringGetTextDatum(environment), BoolGetDatum(superuser_arg(caller))};
    Oid types[2] = {TEXTOID, BOOLOID}, owner;
    int64 generation;
    bool isnull;

    if (rights_plan == NULL) {
        SPIPlanPtr plan;

        lookup_ahead_of_rights();
        plan = prepare(RIGHTS_QUERY, 2, types);
        keep(plan);
        rights_plan = plan;
    }
    if (SPI_execute_plan(rights_plan, arguments, NULL, true, 1) != SPI_OK_SELECT)
        elog(ERROR, "the rights to look up could not be read");
    if (SPI_processed != 1 || !DatumGetBool(column_value("allowed", &isnull))) {
        (void)SPI_execute_with_args(
            "SELECT mastering.require($1, 'author', 'curator', 'reviewer', 'loader', 'consumer')", 1, types,
            arguments, NULL, true, 1);
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
