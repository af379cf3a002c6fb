/*
 * test_names.c: names of persons by what is known of them, and that nothing depends on the order of the
 * arguments.
 */
#include "kernel/nicknames.h"
#include "kernel/similarity.h"
#include "unit.h"

static text_view
view(const char *text)
{
    return (text_view){text, (uint32_t)strlen(text), 1};
}

static double
alike(const char *a, const char *b)
{
    kernel_workspace workspace = {0};
    double there = -1, back = -2;

    if (names_similarity(view(a), view(b), &workspace, &there) != KERNEL_OK ||
        names_similarity(view(b), view(a), &workspace, &back) != KERNEL_OK || there != back)
        there = -1;
    kernel_workspace_free(&workspace);
    return there;
}

int
main(void)
{
    static const char *const words[] = {"a",     "al", "bob", "robert",  "smith",
                                        "smyth", "jr", "ann", "annabel", "iii"};
    uint64_t seed = 7;
    bool sound = true;

    unit_ok(!nickname_known(view("robert")), "nothing is known before the table is there");
    nicknames_prepare();
    nicknames_prepare();
    unit_ok(nickname_known(view("robert")) && nickname_known(view("bob")) && !nickname_known(view("zzyzx")) &&
                !nickname_known(view("r")) && !nickname_known(view("")),
            "names are known, letters and nothing are not");
    unit_ok(given_name_known(view("robert")) && given_name_known(view("rajesh")) &&
                !nickname_known(view("rajesh")) && !nicknames_agree(view("rajesh"), view("rakesh")) &&
                nickname_bits(view("rajesh"), 11) == 0 && !given_name_known(view("zzyzx")),
            "given names that have no nicknames here");
    unit_ok(nicknames_agree(view("bob"), view("robert")) && nicknames_agree(view("rob"), view("bob")) &&
                nicknames_agree(view("peggy"), view("margaret")) &&
                nicknames_agree(view("liz"), view("elizabeth")) &&
                nicknames_agree(view("bill"), view("william")) &&
                nicknames_agree(view("dick"), view("richard")),
            "nicknames");
    unit_ok(nicknames_agree(view("bert"), view("albert")) && nicknames_agree(view("bert"), view("herbert")) &&
                !nicknames_agree(view("albert"), view("herbert")),
            "one nickname of two names does not make them one");
    unit_ok(!nicknames_agree(view("bob"), view("william")) && !nicknames_agree(view("mary"), view("john")),
            "others do not agree");
    unit_ok(unit_near(alike("bob", "robert"), 0.93, 1e-12) && unit_near(alike("r", "robert"), 0.85, 1e-12) &&
                alike("robert", "robert") == 1 && alike("r", "r") == 1 && alike("r", "bob") == 0,
            "words");
    unit_ok(alike("john smith", "smith john") == 1 &&
                unit_near(alike("john smith", "john q smith"), 2 / 2.15, 1e-12) &&
                unit_near(alike("bob smith", "smith robert"), 1.93 / 2, 1e-12) &&
                unit_near(alike("mary jones", "john jones"), 0.5, 1e-12),
            "words in any order, and those without a partner");
    unit_ok(unit_near(alike("darla", "darlene"), 0.790476, 1e-6) && alike("darlene", "darlena") > 0.94 &&
                alike("anna", "annabelle") == 0.75 && alike("vlad", "vladimir") > 0.89,
            "names that begin alike, and slips");
    unit_ok(unit_near(alike("morris klein ii", "morris klein iii"), 2.0 / 3, 1e-12) &&
                unit_near(alike("john smith jr", "john smith sr"), 2.0 / 3, 1e-12) &&
                unit_near(alike("john smith ii", "john i smith"), 2.0 / 3, 1e-12) &&
                alike("john smith jr", "smith john ii") == 1 &&
                unit_near(alike("john smith jr", "john smith"), 2 / 2.15, 1e-12),
            "generations of one name");
    unit_ok(alike("maryann", "mary ann") > 0.9, "a name in one word and in two");
    unit_ok(names_abbreviates(view("j muir"), view("jane muir")) &&
                names_abbreviates(view("muir j"), view("jane muir")) &&
                names_abbreviates(view("j"), view("jane")) &&
                names_abbreviates(view("j m"), view("jane m")) &&
                names_abbreviates(view("j r r tolkien"), view("john ronald reuel tolkien")) &&
                names_abbreviates(view("muir j"), view("jane anna muir")),
            "first letters of a name");
    unit_ok(!names_abbreviates(view("j muir"), view("j muir")) &&
                !names_abbreviates(view("jane muir"), view("jane anna muir")) &&
                !names_abbreviates(view("k muir"), view("jane muir")) &&
                !names_abbreviates(view("j moore"), view("jane muir")) &&
                !names_abbreviates(view("j j muir"), view("jane muir")) &&
                !names_abbreviates(view("m muir"), view("jane muir")) &&
                !names_abbreviates(view(""), view("j")) && !names_abbreviates(view("j"), view("")) &&
                !names_abbreviates(view("jane muir"), view("j muir")),
            "no first letters of a name");
    unit_ok(alike("", "") == 1 && alike("", "x") == 0 && alike(" ", "") == 1, "nothing");
    for (int trial = 0; trial < 20000; trial++) {
        char text[2][256] = {"", ""};
        double value;

        for (int side = 0; side < 2; side++)
            for (uint64_t n = unit_random(&seed) % 11; n > 0; n--) {
                strcat(text[side], words[unit_random(&seed) % 10]);
                strcat(text[side], " ");
            }
        value = alike(text[0], text[1]);
        sound &= value >= 0 && value <= 1 && alike(text[0], text[0]) == 1;
    }
    unit_ok(sound, "within bounds, symmetric, 1 for equal names");
    return unit_done();
}
