/*
 * people.c: makes up households and the people in them. For generate.c, which says what systems know of them.
 *
 * Integer arithmetic and a generator of our own only: one seed gives the same people on every machine.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "people.h"

enum { MAX_SURNAMES = 10000 };

static uint64_t random_state;
static uint32_t given_weights[64];
static uint32_t street_weights[64];
static uint32_t surname_weights[MAX_SURNAMES];
static int surname_count;

/* ---- random numbers (SplitMix64, Steele, Lea and Flood 2014) ---- */

uint64_t
next_random(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9E3779B97F4A7C15));

    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

int
below(int limit)
{
    return (int)(((next_random(&random_state) >> 32) * (uint64_t)limit) >> 32);
}

int
between(int low, int high)
{
    return low + below(high - low + 1);
}

int
chance(int per_thousand)
{
    return below(1000) < per_thousand;
}

/* Fills cumulative weights that fall like 1 / (rank + flatness). */
static void
fill_weights(uint32_t *weights, int count, int flatness)
{
    uint32_t sum = 0;

    for (int rank = 0; rank < count; rank++) {
        sum += 10000000u / (uint32_t)(rank + 1 + flatness);
        weights[rank] = sum;
    }
}

/* A rank below count, drawn by weights. */
static int
draw(const uint32_t *weights, int count)
{
    uint32_t point = (uint32_t)(((next_random(&random_state) >> 32) * (uint64_t)weights[count - 1]) >> 32);
    int low = 0;
    int high = count - 1;

    while (low < high) {
        int middle = (low + high) / 2;

        if (weights[middle] > point)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

static int
length_of(const char *const *list, int capacity)
{
    int count = 0;

    while (count < capacity && list[count] != NULL)
        count++;
    return count;
}

/* ---- text ---- */

void
print(char *target, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(target, TEXT, format, arguments);
    va_end(arguments);
}

/* target = source with the first occurrence of what replaced by with. */
void
replace(char *target, const char *source, const char *what, const char *with)
{
    const char *found = strstr(source, what);

    if (found == NULL)
        print(target, "%s", source);
    else
        print(target, "%.*s%s%s", (int)(found - source), source, with, found + strlen(what));
}

/* The letters without accents of U+00C0 to U+00FF, in order. */
static const char base_letters[] = "AAAAAAACEEEEIIIIDNOOOOO*OUUUUYTsaaaaaaaceeeeiiiidnooooo/ouuuuyty";

/*
 * Writes Latin text in plain letters. German spells ä as ae; where it does not, and elsewhere, the letter
 * only loses its accent. Text in other scripts stays as it is.
 */
void
plain_letters(char *target, const char *source, int spelled)
{
    int length = 0;

    for (const unsigned char *s = (const unsigned char *)source; *s != 0 && length < TEXT - 3; s++) {
        if (s[0] == 0xC3 && s[1] >= 0x80) {
            unsigned char letter = (unsigned char)base_letters[s[1] - 0x80];
            int is_umlaut =
                s[1] == 0x84 || s[1] == 0x96 || s[1] == 0x9C || s[1] == 0xA4 || s[1] == 0xB6 || s[1] == 0xBC;

            target[length++] = (char)letter;
            if (s[1] == 0x9F)
                target[length++] = 's';
            else if (is_umlaut && spelled)
                target[length++] = 'e';
            s++;
        } else {
            target[length++] = (char)*s;
        }
    }
    target[length] = 0;
}

int
is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

void
to_upper(char *text)
{
    for (; *text != 0; text++)
        if (*text >= 'a' && *text <= 'z')
            *text = (char)(*text - 'a' + 'A');
}

void
to_lower(char *text)
{
    for (; *text != 0; text++)
        if (*text >= 'A' && *text <= 'Z')
            *text = (char)(*text - 'A' + 'a');
}

/* What lies beside a key, q to m. */
static char
neighbour(char letter)
{
    static const char rows[] = "qwertyuiop asdfghjkl zxcvbnm";
    char lower = (char)(letter | 0x20);
    const char *place = strchr(rows, lower);
    char hit = place[1] != ' ' && place[1] != 0 ? place[1] : place[-1];

    return letter == lower ? hit : (char)(hit & ~0x20);
}

/* One slip of the fingers: a wrong, missing, doubled or swapped letter, not the first one. */
void
mistype(char *text)
{
    int places[TEXT];
    int count = 0;
    size_t length = strlen(text);
    char *at;

    for (size_t i = 1; i + 1 < length; i++)
        if (is_letter(text[i]) && is_letter(text[i + 1]))
            places[count++] = (int)i;
    if (count == 0 || length + 2 > TEXT)
        return;
    at = text + places[below(count)];
    switch (below(4)) {
    case 0:
        *at = neighbour(*at);
        break;
    case 1:
        memmove(at, at + 1, strlen(at));
        break;
    case 2:
        memmove(at + 1, at, strlen(at) + 1);
        break;
    default: {
        char swapped = at[0];

        at[0] = at[1];
        at[1] = swapped;
    }
    }
}

/* # becomes a digit, @ a letter. */
static void
fill_pattern(char *target, const char *pattern)
{
    for (; *pattern != 0; pattern++)
        *target++ = (char)(*pattern == '#'   ? '0' + below(10)
                           : *pattern == '@' ? "ABDEFGHJLNPQRSTUWXYZ"[below(20)]
                                             : *pattern);
    *target = 0;
}

/* ---- dates: days since 1900-01-01, in the Gregorian calendar ---- */

static int
month_length(int year, int month)
{
    static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

    if (month == 2 && year % 4 == 0 && (year % 100 != 0 || year % 400 == 0))
        return 29;
    return lengths[month - 1];
}

struct date
date_of(int days)
{
    struct date date = {1900, 1, 1};

    for (int length; days >= (length = 337 + month_length(date.year, 2)); date.year++)
        days -= length;
    for (int length; days >= (length = month_length(date.year, date.month)); date.month++)
        days -= length;
    date.day += days;
    return date;
}

static int
first_day(int year)
{
    int days = 0;

    for (int y = 1900; y < year; y++)
        days += 337 + month_length(y, 2);
    return days;
}

int
day_between(int first_year, int last_year)
{
    return between(first_day(first_year), first_day(last_year + 1) - 1);
}

/* ---- people ---- */

static void
make_surname(char *target, const struct vocabulary *words)
{
    int listed = length_of(words->surnames, COUNT(words->surnames));
    int heads = length_of(words->heads, COUNT(words->heads));
    int tails = length_of(words->tails, COUNT(words->tails));
    int rank = draw(surname_weights, surname_count) - listed;

    if (rank < 0)
        print(target, "%s", words->surnames[rank + listed]);
    else if (rank < heads * tails)
        print(target, "%s%s", words->heads[rank % heads], words->tails[rank / heads]);
    else {
        /* The rarest names have two heads; they are drawn from only when there are very many people. */
        char second[TEXT];
        int number = rank - heads * tails;

        print(second, "%s", words->heads[number / heads % heads]);
        to_lower(second);
        print(target, "%s%s%s", words->heads[number % heads], second, words->tails[number % tails]);
    }
    if (words == &vocabularies[SPANISH]) {
        char second[TEXT];

        print(second, "%s", words->surnames[draw(surname_weights, listed)]);
        strncat(target, " ", TEXT - strlen(target) - 1);
        strncat(target, second, TEXT - strlen(target) - 1);
    }
}

static void
make_given(char *target, const struct vocabulary *words, int is_female)
{
    const char *const *list = is_female ? words->female : words->male;

    print(target, "%s", list[draw(given_weights, length_of(list, COUNT(words->male)))]);
}

/* Every town has a few postcodes only, so that neighbours share one. */
static void
make_home(struct home *home, const struct vocabulary *words, const struct city *city)
{
    const char *template =
        words->streets[draw(street_weights, length_of(words->streets, COUNT(words->streets)))];
    uint64_t saved = random_state;
    char number[TEXT];
    char street[TEXT];

    random_state = (uint64_t)(city - words->cities) * 1000 + (uint64_t)below(8);
    fill_pattern(home->postcode, city->postcode);
    random_state = saved;
    next_random(&random_state);
    print(number, "%d", between(1, chance(700) ? 40 : 180));
    if (chance(80))
        strcat(number, "a");
    replace(street, template, "~", words->street_long);
    replace(home->street, street, "%s", number);
    print(home->city, "%s", city->name);
}

static void
make_phone(struct phone *phone, const struct vocabulary *words, const char *area)
{
    static const char *const mobile_areas[LANGUAGES] = {"17#", "77##", "6", "6##"};
    enum language language = (enum language)(words - vocabularies);

    phone->calling_code = words->calling_code;
    fill_pattern(phone->area, area != NULL ? area : mobile_areas[language]);
    fill_pattern(phone->number, language == SPANISH || strlen(phone->area) > 3 ? "2#####" : "4######");
    if (language == FRENCH)
        fill_pattern(phone->number, "########");
}

static void
make_emails(struct person *person, const struct vocabulary *words)
{
    char given[TEXT];
    char surname[TEXT];
    char text[TEXT];
    char *space;

    plain_letters(given, person->given, person->language == GERMAN);
    plain_letters(text, person->maiden[0] != 0 ? person->maiden : person->surname,
                  person->language == GERMAN);
    replace(surname, text, "'", "");
    if ((space = strchr(given, ' ')) != NULL)
        *space = 0;
    if ((space = strchr(surname, ' ')) != NULL)
        *space = 0;
    for (int i = 0; i < 2; i++) {
        const char *provider = words->providers[below(length_of(words->providers, COUNT(words->providers)))];
        int year = date_of(person->birth).year;
        uint64_t number = chance(500) ? (uint64_t)(year % 100) : (person->entity * 7 + (uint64_t)i) % 100000;

        switch (below(4)) {
        case 0:
            print(person->email[i], "%.40s.%.40s%02" PRIu64 "@%s", given, surname, number, provider);
            break;
        case 1:
            print(person->email[i], "%.1s.%.40s%" PRIu64 "@%s", given, surname, person->entity % 1000000,
                  provider);
            break;
        case 2:
            print(person->email[i], "%.40s_%.40s%02" PRIu64 "@%s", surname, given, number, provider);
            break;
        default:
            print(person->email[i], "%.40s%" PRIu64 "@%s", given, person->entity * 31 % 10000000, provider);
        }
        to_lower(person->email[i]);
    }
}

static void
make_person(struct person *person, struct household *house, uint64_t entity, int is_female, int birth)
{
    const struct vocabulary *words = &vocabularies[house->language];

    memset(person, 0, sizeof(*person));
    person->entity = entity;
    person->language = house->language;
    person->is_female = is_female;
    person->birth = birth;
    person->foreign_given = person->foreign_surname = -1;
    make_given(person->given, words, is_female);
    print(person->surname, "%s", house->surname);
    make_phone(&person->mobile, words, NULL);
    print(person->account, "%s", words->country);
    fill_pattern(person->account + 2, "##10##0###00######");
}

/* A father, most often a mother, children: one surname, one address, one telephone. */
void
make_household(struct household *house, uint64_t *entities)
{
    const struct vocabulary *words;
    int cities;
    int old_city;
    int new_city;
    int birth;
    int lot = below(100);
    int foreign = chance(12) ? below(COUNT(foreign_surnames)) : -1;

    memset(house, 0, sizeof(*house));
    house->language = lot < 40 ? GERMAN : lot < 65 ? ENGLISH : lot < 85 ? FRENCH : SPANISH;
    words = &vocabularies[house->language];
    for (cities = 0; cities < COUNT(words->cities) && words->cities[cities].name != NULL;)
        cities++;
    old_city = draw(street_weights, cities);
    new_city = chance(600) ? old_city : draw(street_weights, cities);
    make_surname(house->surname, words);
    make_home(&house->home[0], words, &words->cities[old_city]);
    make_home(&house->home[1], words, &words->cities[new_city]);
    house->moved_on = chance(140) ? day_between(2013, 2023) : INT32_MAX;
    make_phone(&house->landline, words, words->cities[old_city].area_code);
    if (foreign >= 0)
        print(house->surname, "%s", foreign_surnames[foreign][1]);

    birth = day_between(1935, 1990);
    lot = below(100);
    house->size = lot < 45 ? 1 : lot < 75 ? 2 : lot < 88 ? 3 : lot < 96 ? 4 : 5;
    for (int i = 0; i < house->size; i++) {
        struct person *person = &house->members[i];
        int is_adult = i < 2;
        int is_female = i == 0 ? house->size == 1 && chance(500) : i == 1 ? chance(970) : chance(500);
        int born = i == 0 ? birth : i == 1 ? birth + between(-1500, 3000) : birth + between(8000, 13000);

        if (born > 38000) /* no customer is younger than born in 2004 */
            born = 38000 - between(0, 2000);
        make_person(person, house, (*entities)++, is_female, born);
        if (is_adult && is_female && chance(house->size > 1 ? 220 : 60)) {
            make_surname(person->maiden, words);
            person->married_on = day_between(2012, 2022);
        }
        if (i >= 2 && !is_female && chance(160))
            print(person->given, "%s", house->members[0].given); /* named like his father */
        else if (chance(90)) {
            char second[TEXT];
            char first[TEXT];

            make_given(second, words, is_female);
            print(first, "%s", person->given);
            print(person->given, "%.60s %.60s", first, second);
        }
        if (foreign >= 0) {
            person->foreign_surname = foreign;
            person->foreign_given = below(COUNT(foreign_male));
            print(person->given, "%s", (is_female ? foreign_female : foreign_male)[person->foreign_given][1]);
        }
        make_emails(person, words);
    }
}

void
set_population(uint64_t rows)
{
    uint64_t wanted = rows / 300 + 420;

    surname_count = wanted < MAX_SURNAMES - 600 ? (int)wanted : MAX_SURNAMES - 600;
    fill_weights(given_weights, COUNT(given_weights), 3);
    fill_weights(street_weights, COUNT(street_weights), 2);
    fill_weights(surname_weights, surname_count, 20);
}

void
set_household(uint64_t seed, uint64_t number)
{
    random_state = seed * UINT64_C(0xA24BAED4963EE407) + number;
    random_state = next_random(&random_state);
}
