/*
 * people.h: the people of the demonstration, as they really are, and the small tools of their making.
 *
 * All that is random comes from one stream, which set_household sets for each household anew, so that a run
 * with more rows has the same first households. Texts are arrays of TEXT bytes, cut when too long; dates are
 * days since 1900-01-01.
 */
#ifndef DEMO_PEOPLE_H
#define DEMO_PEOPLE_H

#include <stdint.h>

#include "vocabulary.h"

#define COUNT(list) ((int)(sizeof(list) / sizeof((list)[0])))

enum { TEXT = 128, MAX_MEMBERS = 6 };

struct home {
    char street[TEXT];
    char city[TEXT];
    char postcode[16];
};

struct phone {
    const char *calling_code;
    char area[8];
    char number[12];
};

struct person {
    uint64_t entity;
    enum language language;
    int is_female;
    char given[TEXT];
    char surname[TEXT];
    char maiden[TEXT]; /* the surname before married_on, or empty */
    int married_on;
    int birth; /* days, as all dates here: since 1900-01-01 */
    int foreign_given, foreign_surname;
    char email[2][TEXT];
    char account[40];
    struct phone mobile;
};

struct household {
    enum language language;
    char surname[TEXT];
    struct home home[2]; /* before and after moved_on */
    int moved_on;
    struct phone landline;
    int size;
    struct person members[MAX_MEMBERS];
};

struct date {
    int year, month, day;
};

extern uint64_t next_random(uint64_t *state);
extern int below(int limit);
extern int between(int low, int high);
extern int chance(int per_thousand);

extern void print(char *target, const char *format, ...) __attribute__((format(printf, 2, 3)));
extern void replace(char *target, const char *source, const char *what, const char *with);
extern void plain_letters(char *target, const char *source, int spelled);
extern int is_letter(char c);
extern void to_upper(char *text);
extern void to_lower(char *text);
extern void mistype(char *text);

extern struct date date_of(int days);
extern int day_between(int first_year, int last_year);

/* The more rows there are to be, the more rare surnames there are. */
extern void set_population(uint64_t rows);
extern void set_household(uint64_t seed, uint64_t number);
extern void make_household(struct household *house, uint64_t *entities);

#endif
