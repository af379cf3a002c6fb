/*
 * quantity.h: numbers with units in running text, in the base unit of what they measure, and model numbers.
 *
 * "1.5 TB" and "1500GB" are one quantity, and so are "12 fl oz" and "355 ml": amounts are kept to three
 * significant digits, which is what labels and catalogues agree in. Letters are read as ASCII in either case.
 */
#ifndef MASTERING_KERNEL_QUANTITY_H
#define MASTERING_KERNEL_QUANTITY_H

#include "kernel/text_view.h"

typedef struct quantity {
    double amount;    /* in the base unit */
    const char *unit; /* base unit: mm, g, ml, mb, kbps, w, v, a, mah, hz, s, ... */
    uint32_t first;   /* characters of the text: the number */
    uint32_t end;     /* behind the unit */
} quantity;

typedef struct unit_entry {
    char name[16]; /* in lower case, without points; a space for any of white space, hyphen, point */
    char base[12];
    double factor;
} unit_entry;

/* The units that running text is searched for; longer names come before what they begin with. */
extern const unit_entry quantity_units[];
extern const size_t quantity_unit_count;

/* The next quantity from *place on, which moves behind it; false: there is none. */
bool quantity_next(text_view text, uint32_t *place, quantity *found);

#define QUANTITY_LENGTH 48

/* "355 ml": three significant digits and the base unit, ASCII; returns the length. */
uint32_t quantity_write(const quantity *quantity, char target[QUANTITY_LENGTH]);

#define MODEL_NUMBER_LENGTH 64

/*
 * The next model number from *place on: a word with letters and digits, at least four of them together, that
 * is no quantity; without what is no letter or digit, letters of ASCII in upper case ("DSC-W120/B" is
 * "DSCW120B"). Where the word has a stroke, *before_stroke is the number of characters that come before it,
 * if that is a model number by itself ("DSCW120"), else 0. characters has room for MODEL_NUMBER_LENGTH;
 * longer words are no model numbers.
 */
bool model_number_next(text_view text, uint32_t *place, uint32_t *characters, uint32_t *length,
                       uint32_t *before_stroke);

#endif
