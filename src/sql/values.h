/*
 * values.h: what the SQL functions on single values share. Main thread only.
 */
#ifndef MASTERING_SQL_VALUES_H
#define MASTERING_SQL_VALUES_H

#include "engine/characters.h"
#include "kernel/similarity.h"

/* What the kernels of this backend's value functions work in; its stop flag is InterruptPending. */
extern kernel_workspace *values_workspace(void);

/*
 * After a call to a kernel: true when it must be called again. Handles interrupts and raises what the
 * status says; gives back memory that only an unusually large call has needed.
 */
extern bool values_must_repeat(kernel_status status);

/* The measure of a name; an unknown one is an error that lists them. */
extern set_measure values_measure(text *name);

/* The q of q-grams, checked. */
extern uint32 values_gram_length(int32 q);

/* The characters of one of two texts (which: 0 or 1); valid until the next call for the same. */
extern text_view values_characters(int which, text *value);

/*
 * Two texts for kernels that only ask which characters are equal: the views may hold other characters, equal
 * where those of the texts are. Valid until the next call.
 */
extern void values_pair(text *a, text *b, text_view *of_a, text_view *of_b);

#endif
