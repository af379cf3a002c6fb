/*
 * quantity_value.h: a value that is a quantity as a whole, as people write them in a column: "112 min",
 * "1 hr. 52 min.", "PT1H52M", "1:52:00", "10,4 %", "$ 1,299.00", "1.83 m (6 ft 0 in)", and plain numbers,
 * whose unit the column knows. Of running text see quantity.h.
 *
 * Reading has two steps. What a value says by itself is read first; what only its column can say (the unit of
 * a plain number, whether 1:52 is hours and minutes) is settled by quantity_value_amount. All that it takes
 * for this are its arguments: values of one column are read one by one, and always the same.
 */
#ifndef MASTERING_KERNEL_QUANTITY_VALUE_H
#define MASTERING_KERNEL_QUANTITY_VALUE_H

#include "kernel/quantity.h"

typedef struct quantity_value {
    double amount; /* in base units; of a plain number the number; of clock parts seconds, read m:ss */
    const unit_entry *unit; /* the finest that is named; NULL: a plain number, or a clock */
    uint8_t clock;          /* "1:52": 2 parts, "1:52:00": 3; 0 where a unit says which parts they are */
    bool short_unit;        /* it is one letter, which may mean something else */
    char mark;              /* '.' or ',' where that can only part off decimals; 0: nothing says so */
} quantity_value;

/* How the column writes its numbers and what it measures. */
typedef struct quantity_form {
    const char *base;   /* only units of this measure are read; NULL: of any */
    bool decimal_comma; /* what "1.299" and "1,299" mean where nothing in the value says it */
} quantity_form;

/* False: the value is no quantity, or not only one. */
extern bool quantity_value_read(text_view text, const quantity_form *form, quantity_value *value);

/*
 * The amount in base units. A plain number is one of the unit, and two clock parts are minutes and seconds,
 * or hours and minutes where the unit is hours. With a usual amount (in base units, above 0) they are
 * whatever comes nearest to that: of times milliseconds to days, of other measures the unit, its thousandth
 * or its thousandfold.
 */
extern double quantity_value_amount(const quantity_value *value, const unit_entry *unit, double usual);

/* base units as the unit, to nine significant digits: "12 in" and "1 ft" are equal. */
extern double quantity_value_in(double amount, const unit_entry *unit);

/* The unit of a name; NULL: there is none. */
extern const unit_entry *quantity_unit_named(text_view name);

/* Whether it is a currency. */
extern bool quantity_unit_is_money(const unit_entry *unit);

/* Its usual short name. */
extern const char *quantity_unit_name(const unit_entry *unit);

#endif
