/*
 * generate.c: makes up the customers of one company as three systems would know them, and the truth.
 *
 *   generate ROWS FOLDER [SEED]
 *
 * writes crm.csv, shop.csv, billing.csv (ROWS records in all) and truth.csv (source, id, entity_id) to
 * FOLDER.
 *
 * The records are what such systems hold: nicknames, married names, people who moved (the older record has
 * the old address), households with one surname, address and telephone, sons named like their fathers, typing
 * errors, swapped names, lost accents, other scripts, missing values. Invariants: integer arithmetic and a
 * generator of our own only, so that one seed gives the same bytes on every machine; memory does not depend
 * on ROWS. Every household has random numbers of its own, so that a run with more ROWS has the same first
 * ones.
 */
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "people.h"

enum { LINE = 640, SLOTS = 16384 };
enum source { CRM, SHOP, BILLING, SOURCES };

/* The rows of a source pass through a pool and leave it in random order: order tells nothing of the entities.
 */
struct pool {
    FILE *file;
    const char *name;
    const char *prefix;
    uint64_t last_id;
    int used;
    struct {
        uint64_t entity;
        char line[LINE];
    } slots[SLOTS];
};

static struct pool pools[SOURCES];
static FILE *truth;
static uint64_t shuffle_state;

/* ---- what a system knows of a person ---- */

struct view {
    char given[TEXT];
    char surname[TEXT];
    char street[TEXT];
    char postcode[TEXT];
    char city[TEXT];
    char phone[TEXT];
    char email[TEXT];
    struct date birth;
    int has_birth;
    struct date updated;
    int seconds;
};

static void
take_nickname(char *given)
{
    int hits[COUNT(nicknames)];
    int count = 0;

    for (int i = 0; i < COUNT(nicknames); i++)
        if (strcmp(nicknames[i][0], given) == 0)
            hits[count++] = i;
    if (count > 0)
        print(given, "%s", nicknames[hits[below(count)]][1]);
}

static void
lose_accents(char *text, enum language language)
{
    char copy[TEXT];

    plain_letters(copy, text, language == GERMAN && chance(700));
    print(text, "%s", copy);
}

static void
see_name(struct view *view, const struct person *person, enum source source, int day)
{
    char *space;

    print(view->given, "%s", person->given);
    print(view->surname, "%s",
          day < person->married_on && person->maiden[0] != 0 ? person->maiden : person->surname);
    if (person->foreign_surname >= 0 && source != BILLING && chance(450)) {
        print(view->given, "%s",
              (person->is_female ? foreign_female : foreign_male)[person->foreign_given][0]);
        print(view->surname, "%s", foreign_surnames[person->foreign_surname][0]);
        return;
    }
    if ((space = strchr(view->given, ' ')) != NULL && chance(650))
        *space = 0;
    if (person->language == SPANISH && (space = strchr(view->surname, ' ')) != NULL &&
        chance(source == SHOP ? 450 : 150))
        *space = 0;
    if (chance(source == SHOP ? 220 : source == CRM ? 70 : 10))
        take_nickname(view->given);
    if (source != BILLING && chance(source == SHOP ? 300 : 120)) {
        lose_accents(view->given, person->language);
        lose_accents(view->surname, person->language);
    }
    if (chance(35))
        mistype(view->given);
    if (chance(50))
        mistype(view->surname);
    if (source == BILLING && chance(70) && is_letter(view->given[0]))
        strcpy(view->given + 1, "."); /* an initial is enough for an invoice */
    if (source == CRM && chance(15)) {
        char swapped[TEXT];

        print(swapped, "%s", view->given);
        print(view->given, "%s", view->surname);
        print(view->surname, "%s", swapped);
    }
}

static void
see_home(struct view *view, const struct household *house, int day)
{
    const struct home *home = &house->home[day >= house->moved_on];
    const struct vocabulary *words = &vocabularies[house->language];

    if (chance(400))
        replace(view->street, home->street, words->street_long, words->street_short);
    else
        print(view->street, "%s", home->street);
    print(view->postcode, "%s", home->postcode);
    print(view->city, "%s", home->city);
    if (chance(150))
        lose_accents(view->street, house->language);
    if (chance(40))
        mistype(view->street);
    if (chance(15))
        mistype(view->city);
    if (chance(20)) {
        size_t last = strlen(view->postcode) - 1;

        if (view->postcode[last] >= '0' && view->postcode[last] <= '9')
            view->postcode[last] = (char)('0' + below(10));
    }
}

static void
see_phone(struct view *view, const struct phone *phone, enum language language, int is_tidy)
{
    const char *trunk = language == SPANISH ? "" : "0";

    switch (is_tidy ? 0 : below(6)) {
    case 0:
        print(view->phone, "+%s %s %s", phone->calling_code, phone->area, phone->number);
        break;
    case 1:
        print(view->phone, "00%s%s%s", phone->calling_code, phone->area, phone->number);
        break;
    case 2:
        print(view->phone, "%s%s/%s", trunk, phone->area, phone->number);
        break;
    case 3:
        print(view->phone, "%s%s-%.3s %s", trunk, phone->area, phone->number, phone->number + 3);
        break;
    case 4:
        print(view->phone, "(%s%s) %s", trunk, phone->area, phone->number);
        break;
    default:
        print(view->phone, "+%s (%s)%s %s", phone->calling_code, trunk, phone->area, phone->number);
        if (*trunk == 0)
            print(view->phone, "+%s%s%s", phone->calling_code, phone->area, phone->number);
    }
    if (chance(20)) { /* one wrong digit */
        size_t last = strlen(view->phone) - 1 - (size_t)below(3);

        if (view->phone[last] != ' ')
            view->phone[last] = (char)('0' + below(10));
    }
}

static void
see_birth(struct view *view, const struct person *person)
{
    view->birth = date_of(person->birth);
    if (chance(12) && view->birth.day <= 12) {
        int swapped = view->birth.day;

        view->birth.day = view->birth.month;
        view->birth.month = swapped;
    } else if (chance(12)) {
        view->birth.day = between(1, 28);
    } else if (chance(8)) {
        view->birth.year += chance(500) ? 1 : -10;
        if (view->birth.month == 2 && view->birth.day == 29)
            view->birth.day = 28; /* the systems take real dates only */
    } else if (chance(4)) {
        view->birth = (struct date){1900, 1, 1}; /* somebody had to fill in something */
    }
}

static void
see(struct view *view, const struct household *house, const struct person *person, enum source source)
{
    static const int without_birth[SOURCES] = {60, 500, 220};
    static const int without_phone[SOURCES] = {90, 250, 1000};
    static const int without_email[SOURCES] = {200, 10, 1000};
    int day = day_between(2010, 2024);

    if (chance(500) && day < 43800) /* many records are touched in the last years again */
        day = between(43800, 45600);
    memset(view, 0, sizeof(*view));
    view->updated = date_of(day);
    view->seconds = below(86400);
    see_name(view, person, source, day);
    see_home(view, house, day);
    see_birth(view, person);
    view->has_birth = !chance(without_birth[source]);
    if (!chance(without_phone[source]))
        see_phone(view, chance(550) ? &house->landline : &person->mobile, house->language, source == CRM);
    if (!chance(without_email[source])) {
        print(view->email, "%s", person->email[source == SHOP && chance(400)]);
        if (chance(40))
            print(view->email, "%s", house->members[0].email[0]); /* the family's */
        if (chance(15))
            mistype(view->email);
    }
    if (chance(60)) /* an address is not always asked for */
        view->street[0] = view->postcode[0] = view->city[0] = 0;
    else if (chance(30))
        view->street[0] = 0;
}

/* ---- rows ---- */

static void
add_field(char *line, const char *text)
{
    char *end = line + strlen(line);

    if (end - line + 2 * (ptrdiff_t)strlen(text) + 4 > LINE) {
        fprintf(stderr, "generate: a row is longer than %d bytes\n", LINE);
        exit(1);
    }
    *end++ = ',';
    if (strpbrk(text, ",\"") != NULL) {
        *end++ = '"';
        for (; *text != 0; text++) {
            if (*text == '"')
                *end++ = '"';
            *end++ = *text;
        }
        *end++ = '"';
        *end = 0;
    } else {
        strcpy(end, text);
    }
}

static void
add_date(char *line, const struct date *date, int is_german, int seconds)
{
    char text[TEXT];

    if (is_german)
        print(text, "%02d.%02d.%04d", date->day, date->month, date->year);
    else if (seconds < 0)
        print(text, "%04d-%02d-%02d", date->year, date->month, date->day);
    else
        print(text, "%04d-%02d-%02d %02d:%02d:%02d", date->year, date->month, date->day, seconds / 3600,
              seconds / 60 % 60, seconds % 60);
    add_field(line, text);
}

static void
write_slot(struct pool *pool, int slot)
{
    pool->last_id += 1 + (next_random(&shuffle_state) >> 62);
    fprintf(pool->file, "%s%06" PRIu64 "%s\n", pool->prefix, pool->last_id, pool->slots[slot].line);
    fprintf(truth, "%s,%s%06" PRIu64 ",%" PRIu64 "\n", pool->name, pool->prefix, pool->last_id,
            pool->slots[slot].entity);
}

static void
emit(enum source source, uint64_t entity, const char *line)
{
    struct pool *pool = &pools[source];
    int slot = pool->used;

    if (pool->used < SLOTS)
        pool->used++;
    else {
        slot = (int)(next_random(&shuffle_state) % SLOTS);
        write_slot(pool, slot);
    }
    pool->slots[slot].entity = entity;
    strcpy(pool->slots[slot].line, line);
}

static void
drain(struct pool *pool)
{
    while (pool->used > 0) {
        int slot = (int)(next_random(&shuffle_state) % (uint64_t)pool->used);

        write_slot(pool, slot);
        pool->slots[slot] = pool->slots[--pool->used];
    }
}

static void
crm_row(const struct household *house, const struct person *person)
{
    char line[LINE] = "";
    struct view view;

    see(&view, house, person, CRM);
    add_field(line, view.given);
    add_field(line, view.surname);
    if (view.has_birth)
        add_date(line, &view.birth, 0, -1);
    else
        add_field(line, "");
    add_field(line, view.street);
    add_field(line, view.postcode);
    add_field(line, view.city);
    add_field(line, view.phone);
    add_field(line, view.email);
    add_date(line, &view.updated, 0, view.seconds);
    emit(CRM, person->entity, line);
}

static void
shop_row(const struct household *house, const struct person *person)
{
    char line[LINE] = "";
    char text[3 * TEXT + 8];
    struct view view;

    see(&view, house, person, SHOP);
    snprintf(text, sizeof(text), "%s %s", view.given, view.surname);
    if (chance(80))
        to_lower(text);
    add_field(line, text);
    add_field(line, view.email);
    add_field(line, view.phone);
    add_field(line, vocabularies[house->language].country);
    if (view.city[0] == 0)
        text[0] = 0;
    else if (view.street[0] == 0)
        snprintf(text, sizeof(text), "%s %s", view.postcode, view.city);
    else
        snprintf(text, sizeof(text), "%s, %s %s", view.street, view.postcode, view.city);
    add_field(line, text);
    if (view.has_birth)
        add_date(line, &view.birth, 0, -1);
    else
        add_field(line, "");
    add_date(line, &view.updated, 0, view.seconds);
    emit(SHOP, person->entity, line);
}

/* An old system: capital letters, no accents, the name in one field, the street in the first line or the
 * second. */
static void
billing_line(const char *name, struct view *view, enum language language, uint64_t entity,
             const char *account)
{
    char line[LINE] = "";
    char text[TEXT];
    int second_line = chance(120);

    plain_letters(text, name, language == GERMAN);
    to_upper(text);
    add_field(line, text);
    plain_letters(text, view->street, language == GERMAN);
    to_upper(text);
    add_field(line, second_line && text[0] != 0 ? "C/O" : text);
    add_field(line, second_line ? text : "");
    add_field(line, view->postcode);
    plain_letters(text, view->city, language == GERMAN);
    to_upper(text);
    add_field(line, text);
    add_field(line, account);
    if (view->has_birth)
        add_date(line, &view->birth, 1, -1);
    else
        add_field(line, "");
    add_date(line, &view->updated, 1, -1);
    emit(BILLING, entity, line);
}

static void
billing_row(const struct household *house, const struct person *person)
{
    char name[TEXT];
    struct view view;

    see(&view, house, person, BILLING);
    print(name, "%.60s, %.60s", view.surname, view.given);
    billing_line(name, &view, house->language, person->entity, chance(150) ? "" : person->account);
}

/* Companies are debtors only. Returns how many rows there were. */
static uint64_t
company_rows(struct household *house, uint64_t room)
{
    const char *const *forms = company_forms[house->language];
    const char *trade = company_words[below(COUNT(company_words))];
    struct person *person = &house->members[0];
    uint64_t rows = (uint64_t)between(1, 3);
    int form = below(3);
    char name[TEXT];
    struct view view;

    if (rows > room)
        rows = room;
    for (uint64_t i = 0; i < rows; i++) {
        see(&view, house, person, BILLING);
        view.has_birth = 0;
        print(name, "%.50s %s %s", house->surname, trade, chance(800) ? forms[form] : "");
        if (chance(100))
            mistype(name);
        billing_line(name, &view, house->language, person->entity, chance(150) ? "" : person->account);
    }
    return rows;
}

static uint64_t
person_rows(const struct household *house, const struct person *person, uint64_t room)
{
    static void (*const row[SOURCES])(const struct household *, const struct person *) = {crm_row, shop_row,
                                                                                          billing_row};
    static const int known[SOURCES] = {720, 600, 560};
    static const int again[SOURCES] = {150, 110, 90};
    uint64_t rows = 0;

    for (int source = 0; source < SOURCES; source++) {
        int copies = chance(known[source]);

        while (copies > 0 && copies < 4 && chance(again[source]))
            copies++;
        for (; copies > 0 && rows < room; copies--, rows++)
            row[source](house, person);
    }
    return rows;
}

static FILE *
open_file(const char *folder, const char *name, const char *header)
{
    char path[4096];
    FILE *file;

    snprintf(path, sizeof(path), "%s/%s.csv", folder, name);
    if ((file = fopen(path, "w")) == NULL) {
        perror(path);
        exit(1);
    }
    fprintf(file, "%s\n", header);
    return file;
}

static void
close_file(FILE *file)
{
    if (ferror(file) || fclose(file) != 0) {
        perror("generate: could not write");
        exit(1);
    }
}

int
main(int argc, char **argv)
{
    static const char *const headers[SOURCES] = {
        "customer_id,first_name,last_name,birth_date,street,postcode,city,phone,email,updated_at",
        "account_id,full_name,email,phone,country,address,birth_date,signed_up_at",
        "debtor_no,name,address_1,address_2,zip,city,account,date_of_birth,updated"};
    static const char *const names[SOURCES] = {"crm", "shop", "billing"};
    static const char *const prefixes[SOURCES] = {"C-", "S", "B/"};
    static struct household house;
    uint64_t rows = argc > 2 ? strtoull(argv[1], NULL, 10) : 0;
    uint64_t seed = argc > 3 ? strtoull(argv[3], NULL, 10) : 1;
    uint64_t made = 0;
    uint64_t entities = 1;

    if (rows < 1 || rows > 100000000) {
        fprintf(stderr, "usage: generate ROWS FOLDER [SEED], with at most 100,000,000 rows\n");
        return 2;
    }
    for (int source = 0; source < SOURCES; source++) {
        pools[source].file = open_file(argv[2], names[source], headers[source]);
        pools[source].name = names[source];
        pools[source].prefix = prefixes[source];
    }
    truth = open_file(argv[2], "truth", "source,id,entity_id");
    shuffle_state = seed ^ UINT64_C(0xD1B54A32D192ED03);
    set_population(rows);
    for (uint64_t number = 0; made < rows; number++) {
        set_household(seed, number);
        make_household(&house, &entities);
        if (chance(35))
            made += company_rows(&house, rows - made);
        else
            for (int i = 0; i < house.size && made < rows; i++)
                made += person_rows(&house, &house.members[i], rows - made);
    }
    for (int source = 0; source < SOURCES; source++) {
        drain(&pools[source]);
        close_file(pools[source].file);
    }
    close_file(truth);
    return 0;
}
