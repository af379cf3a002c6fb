/*
 * quantity_units.h: units of values that are quantities as a whole, beside those of running text
 * (quantity.h): more languages and measures, one letter for minutes, currencies.
 *
 * Names are Latin-1; what is no Latin-1 has a place of its own among the control characters (quantity_value.c
 * folds it). Of names that several units have, the first is what is meant where nothing says more.
 */
#ifndef MASTERING_KERNEL_QUANTITY_UNITS_H
#define MASTERING_KERNEL_QUANTITY_UNITS_H

#include "kernel/quantity.h"

extern const unit_entry quantity_more_units[];
extern const size_t quantity_more_units_count;

/* They stand before or behind the number. */
extern const unit_entry quantity_currencies[];
extern const size_t quantity_currencies_count;

/* Words between a number and its unit; the others are of amounts of money only. */
extern const unit_entry quantity_multipliers[];
extern const size_t quantity_multipliers_count;
extern const unit_entry quantity_money_multipliers[];
extern const size_t quantity_money_multipliers_count;

#endif
