/*
 * json_reader.c: see json_reader.h.
 */
#include "compat.h"

#include <math.h>

#include "engine/json_reader.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/numeric.h"
#include "utils/varlena.h"

json_node
json_root(Jsonb *document, const char *what)
{
    json_node node;

    node.path = "$";
    if (JB_ROOT_IS_SCALAR(document)) {
        node.value = *getIthJsonbValueFromContainer(&document->root, 0);
    } else {
        node.value.type = jbvBinary;
        node.value.val.binary.data = &document->root;
        node.value.val.binary.len = VARSIZE_ANY_EXHDR(document);
    }
    if (!json_is_object(&node))
        json_error(&node, psprintf("a %s is a JSON object", what), psprintf("Found %s.", json_found(&node)),
                   NULL);
    return node;
}

bool
json_is_object(const json_node *node)
{
    return node->value.type == jbvBinary && JsonContainerIsObject(node->value.val.binary.data);
}

bool
json_is_array(const json_node *node)
{
    return node->value.type == jbvBinary && JsonContainerIsArray(node->value.val.binary.data) &&
           !JsonContainerIsScalar(node->value.val.binary.data);
}

bool
json_is_string(const json_node *node)
{
    return node->value.type == jbvString;
}

char *
json_found(const json_node *node)
{
    switch (node->value.type) {
    case jbvNull:
        return pstrdup("null");
    case jbvString: {
        int length = node->value.val.string.len;
        int clipped = pg_mbcliplen(node->value.val.string.val, length, 60);

        return psprintf("the string \"%.*s%s\"", clipped, node->value.val.string.val,
                        clipped < length ? "..." : "");
    }
    case jbvNumeric: {
        const char *digits =
            DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(node->value.val.numeric)));

        return psprintf("the number %.60s%s", digits, strlen(digits) > 60 ? "..." : "");
    }
    case jbvBool:
        return pstrdup(node->value.val.boolean ? "true" : "false");
    default:
        return pstrdup(json_is_object(node) ? "an object" : "an array");
    }
}

void
json_error(const json_node *node, const char *problem, const char *detail, const char *hint)
{
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                    errmsg("invalid specification at %s: %s", node->path, problem),
                    detail != NULL ? errdetail("%s", detail) : 0, hint != NULL ? errhint("%s", hint) : 0));
}

static void
expect(const json_node *node, bool is_so, const char *wanted)
{
    if (!is_so)
        json_error(node, psprintf("expected %s, found %s", wanted, json_found(node)), NULL, NULL);
}

bool
json_member(const json_node *object, const char *name, json_node *member)
{
    JsonbValue *value;

    expect(object, json_is_object(object), "an object");
    value = getKeyJsonValueFromContainer(object->value.val.binary.data, name, strlen(name), NULL);
    if (value == NULL)
        return false;
    member->value = *value;
    member->path = psprintf("%s.%s", object->path, name);
    return true;
}

void
json_expect_members(const json_node *object, const char *const *allowed)
{
    JsonbIterator *iterator;
    JsonbIteratorToken token;
    JsonbValue value;

    expect(object, json_is_object(object), "an object");
    iterator = JsonbIteratorInit(object->value.val.binary.data);
    while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE) {
        char *name;
        bool known = false;

        if (token != WJB_KEY)
            continue;
        name = pnstrdup(value.val.string.val, value.val.string.len);
        for (const char *const *candidate = allowed; *candidate != NULL && !known; candidate++)
            known = strcmp(*candidate, name) == 0;
        if (!known)
            json_error(object, psprintf("unknown member \"%s\"", name),
                       psprintf("Allowed members are: %s.", join_names(allowed)),
                       nearest_name_hint(name, allowed));
    }
}

int
json_length(const json_node *array)
{
    expect(array, json_is_array(array), "an array");
    return JsonContainerSize(array->value.val.binary.data);
}

json_node
json_element(const json_node *array, int index)
{
    json_node node;

    node.value = *getIthJsonbValueFromContainer(array->value.val.binary.data, index);
    node.path = psprintf("%s[%d]", array->path, index);
    return node;
}

char *
json_string(const json_node *node)
{
    expect(node, json_is_string(node), "a string");
    return pnstrdup(node->value.val.string.val, node->value.val.string.len);
}

bool
json_boolean(const json_node *node)
{
    expect(node, node->value.type == jbvBool, "true or false");
    return node->value.val.boolean;
}

double
json_number(const json_node *node, double least, double most)
{
    double number;

    expect(node, node->value.type == jbvNumeric, "a number");
    number = DatumGetFloat8(
        DirectFunctionCall1(numeric_float8_no_overflow, NumericGetDatum(node->value.val.numeric)));
    if (isnan(number) || number < least || number > most)
        json_error(node, psprintf("%s is out of range", json_found(node)),
                   psprintf("Allowed are numbers from %g to %g.", least, most), NULL);
    return number;
}

int
json_integer(const json_node *node, int least, int most)
{
    double number = json_number(node, least, most);

    if (number != floor(number))
        json_error(node, psprintf("expected a whole number, found %s", json_found(node)), NULL, NULL);
    return (int)number;
}

int
json_choice(const json_node *node, const char *what, const char *const *names)
{
    char *word = json_string(node);

    for (int i = 0; names[i] != NULL; i++)
        if (strcmp(names[i], word) == 0)
            return i;
    json_error(node, psprintf("\"%s\" is not a %s", word, what),
               psprintf("Allowed are: %s.", join_names(names)), nearest_name_hint(word, names));
}

const char *
nearest_name(const char *word, const char *const *names)
{
    int length = (int)strlen(word);
    int best = length / 2 < 2   ? 2
               : length / 2 > 4 ? 4
                                : length / 2; /* changes: more than this is another word */
    const char *nearest = NULL;

    if (length > 255)
        return NULL;
    for (; *names != NULL; names++) {
        int name_length = (int)strlen(*names), distance;

        if (name_length > 255)
            continue;
        distance = varstr_levenshtein_less_equal(word, length, *names, name_length, 1, 1, 1, best, true);
        if (distance < best || (distance == best && nearest == NULL)) {
            best = distance;
            nearest = *names;
        }
    }
    return nearest;
}

char *
nearest_name_hint(const char *word, const char *const *names)
{
    const char *nearest = nearest_name(word, names);

    return nearest == NULL ? NULL : psprintf("Perhaps you meant \"%s\".", nearest);
}

char *
join_names(const char *const *names)
{
    StringInfoData joined;

    initStringInfo(&joined);
    for (int i = 0; names[i] != NULL; i++)
        appendStringInfo(&joined, "%s%s", i > 0 ? ", " : "", names[i]);
    return joined.data;
}
