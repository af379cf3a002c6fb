/*
 * values.c: what the SQL functions on single values share: scratch memory, the brake, and arguments.
 */
#include "compat.h"

#include "kernel/pair_bytes.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "sql/values.h"

/* Scratch up to this size is kept between calls. */
#define KEEP_BYTES (256 * 1024)

#define GRAM_LENGTH_MOST 8

static kernel_workspace workspace;
static character_buffer decoded[2];

kernel_workspace *
values_workspace(void)
{
    if (unlikely(workspace.stop == NULL))
        workspace.stop = &InterruptPending;
    return &workspace;
}

/* Out of the way of the functions that are called for every pair. */
static pg_noinline bool
stopped(kernel_status status)
{
    kernel_workspace_free(&workspace);
    if (status == KERNEL_NO_MEMORY)
        ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory"),
                        errdetail("The texts are too long for this comparison.")));
    CHECK_FOR_INTERRUPTS();

    /* Interrupts may be held off, and then stay pending: the next attempt must run to its end. */
    workspace.stop = InterruptPending ? NULL : &InterruptPending;
    return true;
}

bool
values_must_repeat(kernel_status status)
{
    static const volatile sig_atomic_t never = 0;

    if (unlikely(status != KERNEL_OK)) {
        bool again = stopped(status);

        if (workspace.stop == NULL)
            workspace.stop = &never;
        return again;
    }
    if (unlikely(workspace.stop == &never))
        workspace.stop = &InterruptPending;
    if (unlikely(workspace.size > KEEP_BYTES))
        kernel_workspace_free(&workspace);
    return false;
}

set_measure
values_measure(text *name)
{
    static const struct {
        const char *name;
        set_measure measure;
    } measures[] = {
        {"dice", MEASURE_DICE},
        {"jaccard", MEASURE_JACCARD},
        {"cosine", MEASURE_COSINE},
        {"overlap", MEASURE_OVERLAP},
    };
    const char *bytes = VARDATA_ANY(name);
    Size length = VARSIZE_ANY_EXHDR(name);

    for (int i = 0; i < lengthof(measures); i++)
        if (strlen(measures[i].name) == length && memcmp(measures[i].name, bytes, length) == 0)
            return measures[i].measure;
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                    errmsg("unknown measure \"%s\"", pnstrdup(bytes, Min(length, NAMEDATALEN))),
                    errhint("Use 'dice', 'jaccard', 'cosine' or 'overlap'.")));
}

uint32
values_gram_length(int32 q)
{
    if (q < 1 || q > GRAM_LENGTH_MOST)
        ereport(ERROR,
                (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("q-grams cannot have %d characters", q),
                 errhint("Use a q from 1 to %d.", GRAM_LENGTH_MOST)));
    return (uint32)q;
}

/* Of texts of SQL_ASCII each says for itself what its bytes are. */
static bool
every_byte_is_a_character(void)
{
    return pg_database_encoding_max_length() == 1 && GetDatabaseEncoding() != PG_SQL_ASCII;
}

void
values_pair(text *a, text *b, text_view *of_a, text_view *of_b)
{
    static pair_bytes bytes;
    const char *bytes_a = VARDATA_ANY(a), *bytes_b = VARDATA_ANY(b);
    Size length_a = VARSIZE_ANY_EXHDR(a), length_b = VARSIZE_ANY_EXHDR(b);

    if (likely(bytes_are_ascii(bytes_a, length_a) && bytes_are_ascii(bytes_b, length_b)) ||
        every_byte_is_a_character()) {
        *of_a = (text_view){bytes_a, (uint32)length_a, 1};
        *of_b = (text_view){bytes_b, (uint32)length_b, 1};
        return;
    }
    if (characters_encoding(bytes_a, length_a) == PG_UTF8 &&
        characters_encoding(bytes_b, length_b) == PG_UTF8 &&
        pair_bytes_of(bytes_a, length_a, bytes_b, length_b, &bytes)) {
        *of_a = (text_view){bytes.bytes[0], bytes.lengths[0], 1};
        *of_b = (text_view){bytes.bytes[1], bytes.lengths[1], 1};
        return;
    }
    *of_a = values_characters(0, a);
    *of_b = values_characters(1, b);
}

text_view
values_characters(int which, text *value)
{
    const char *bytes = VARDATA_ANY(value);
    Size length = VARSIZE_ANY_EXHDR(value);

    if (likely(bytes_are_ascii(bytes, length)))
        return (text_view){bytes, (uint32)length, 1};
    if (decoded[which].context == NULL)
        character_buffer_init(&decoded[which], TopMemoryContext);
    character_buffer_trim(&decoded[which]);
    return text_view_from_bytes(&decoded[which], bytes, length);
}
