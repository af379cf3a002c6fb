/*
 * elements.h: columns of arrays. In the store an array is one value, the text of its elements in order and
 * without repetition, so that everything that handles values handles it: equal values are equal sets, and
 * runs in passes, increments and look-ups see the same ones. What compares elements makes a table of them
 * from the values that are there.
 */
#ifndef MASTERING_ENGINE_ELEMENTS_H
#define MASTERING_ENGINE_ELEMENTS_H

#include "compat.h"

#include "engine/dictionary.h"
#include "engine/spec.h"
#include "engine/value_reader.h"
#include "kernel/elements.h"

/* ---- reading ---- */

typedef struct element_reader element_reader;

/* For values of a type that is an array or jsonb; a value of any other type is its own only element. */
extern element_reader *element_reader_create(MemoryContext context, Oid type, value_form form);

/* As value_reader_read: the text of the elements. NULL elements and empty ones are none. */
extern value_state element_reader_read(element_reader *reader, Datum value, text_view *text);

/* Values of which elements were left out. */
extern uint64 element_reader_cut(const element_reader *reader);

/* Whether a type has elements. */
extern bool type_has_elements(Oid type);

/* ---- the table ---- */

typedef struct element_index {
    element_table table;  /* the first member: the kernels' pointer to it is one to the whole */
    dictionary *elements; /* counts of records: of those that have one */
    uint32 value_count;
} element_index;

extern element_index *element_index_create(MemoryContext context, const dictionary *values, value_form form);

/* What a value consists of, part by part: *place begins at 0; false: there is none left. */
typedef bool (*part_of_value)(text_view value, uint32 *place, text_view *part);

/* The same of other parts of values, which are nothing but texts. */
extern element_index *element_index_of_parts(MemoryContext context, const dictionary *values,
                                             part_of_value next_part);

/* The elements of a value, one by one. */
extern bool next_element(text_view value, uint32 *place, text_view *element);

/* An element in the narrowest width, as dictionaries have it; buffer: room for its characters. */
extern text_view narrow_element(text_view element, uint8 *buffer);

/*
 * What rare elements add, by the shares of the records that have them (by element): to the table, where a
 * shared element is a level of its own, and by value, for equal sets, as the result.
 */
extern int32 *element_weights(element_index *index, MemoryContext context, const comparison_spec *comparison,
                              const double *shares);

/* What sharing a part adds to the table, by the shares of the records that have them and the usual one. */
extern void element_index_weigh(element_index *index, MemoryContext context,
                                const term_frequencies *frequencies, const double *shares);

/* The elements of a value as people read them, a certain one (or 0) first. */
extern char *element_list(const element_index *index, uint32 value, uint32 first);

#endif
