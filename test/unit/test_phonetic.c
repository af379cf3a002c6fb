/*
 * test_phonetic.c: published pairs of names and keys, and what no input may do.
 */
#include "kernel/phonetic.h"
#include "unit.h"

static void
check_soundex(const char *word, const char *expected)
{
    char key[SOUNDEX_KEY_LENGTH + 1], name[100];

    snprintf(name, sizeof name, "soundex: %s is %s", word, expected);
    unit_ok(soundex_key(unit_view(word), key) == strlen(expected) && strcmp(key, expected) == 0, name);
}

static void
check_nysiis(const char *word, const char *expected)
{
    char key[100], name[220];
    uint32_t length = nysiis_key(unit_view(word), key, sizeof key);

    snprintf(name, sizeof name, "nysiis: %s is %s (%s)", word, expected, key);
    unit_ok(length == strlen(expected) && strcmp(key, expected) == 0, name);
}

static void
check_metaphone(const char *word, const char *primary, const char *alternate)
{
    char first[DOUBLE_METAPHONE_MAX + 1], second[DOUBLE_METAPHONE_MAX + 1], name[140];

    double_metaphone_keys(unit_view(word), 4, first, second);
    snprintf(name, sizeof name, "double metaphone: %s is %s, %s (%s, %s)", word, primary, alternate, first,
             second);
    unit_ok(strcmp(first, primary) == 0 && strcmp(second, alternate) == 0, name);
}

static void
check_cologne(const char *word, const char *expected)
{
    char key[100], name[220];
    uint32_t length = cologne_key(unit_view(word), key, sizeof key);

    snprintf(name, sizeof name, "cologne: %s is %s (%s)", word, expected, key);
    unit_ok(length == strlen(expected) && strcmp(key, expected) == 0, name);
}

/* expected: the keys in ascending order, with a comma between them. */
static void
check_daitch(const char *word, const char *expected)
{
    char keys[DAITCH_MOKOTOFF_KEYS][DAITCH_MOKOTOFF_LENGTH + 1];
    char found[DAITCH_MOKOTOFF_KEYS * (DAITCH_MOKOTOFF_LENGTH + 1) + 1] = "", name[300];
    uint32_t count = daitch_mokotoff_keys(unit_view(word), keys);

    for (uint32_t done = 0; done < count; done++) {
        uint32_t least = 0;

        for (uint32_t i = 1; i < count; i++)
            if (strcmp(keys[i], keys[least]) < 0)
                least = i;
        strcat(found, done ? "," : "");
        strcat(found, keys[least]);
        keys[least][0] = '~';
    }
    snprintf(name, sizeof name, "daitch-mokotoff: %s is %s (%s)", word, expected, found);
    unit_ok(strcmp(found, expected) == 0, name);
}

/* Any text, in either width: keys within their bounds and made of their own letters. */
static void
test_random(void)
{
    static unit_text a, b;
    uint64_t seed = 8;
    uint32_t wrong = 0;

    for (int i = 0; i < 200000; i++) {
        char soundex[SOUNDEX_KEY_LENGTH + 1], first[DOUBLE_METAPHONE_MAX + 1],
            second[DOUBLE_METAPHONE_MAX + 1];
        char daitch[DAITCH_MOKOTOFF_KEYS][DAITCH_MOKOTOFF_LENGTH + 1];
        char *key;
        uint32_t capacity, length, most = 1 + unit_below(&seed, DOUBLE_METAPHONE_MAX);

        unit_random_pair(&seed, &a, &b, 0, 1);
        if (unit_below(&seed, 2))
            for (uint32_t k = 0; k < a.length; k++)
                a.points[k] = 'A' + a.points[k] % 26;
        unit_text_view(&a, unit_below(&seed, 2) || a.view.width == 4 ? 4 : 1);
        capacity = unit_below(&seed, 4) ? a.length + 1 : 1 + unit_below(&seed, a.length + 1);
        key = malloc(capacity);
        if (key == NULL)
            abort();
        length = soundex_key(a.view, soundex);
        wrong += (length != 0 && length != SOUNDEX_KEY_LENGTH) || strlen(soundex) != length;
        length = nysiis_key(a.view, key, capacity);
        wrong += length >= capacity || strlen(key) != length ||
                 strspn(key, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != length;
        length = cologne_key(a.view, key, capacity);
        wrong += length >= capacity || strlen(key) != length || strspn(key, "012345678") != length;
        length = daitch_mokotoff_keys(a.view, daitch);
        wrong += length > DAITCH_MOKOTOFF_KEYS || (length == 0) != (soundex[0] == '\0');
        for (uint32_t k = 0; k < length; k++)
            wrong += strspn(daitch[k], "0123456789") != DAITCH_MOKOTOFF_LENGTH;
        double_metaphone_keys(a.view, most, first, second);
        wrong += strlen(first) > most || strlen(second) > most ||
                 strspn(first, "AFHJKLMNPRSTX0") != strlen(first) ||
                 strspn(second, "AFHJKLMNPRSTX0") != strlen(second);
        free(key);
    }
    unit_ok(wrong == 0, "200,000 random texts");
    free((void *)a.view.chars);
    free((void *)b.view.chars);
}

int
main(void)
{
    /* The examples of the National Archives, and Knuth's. */
    check_soundex("Tymczak", "T522");
    check_soundex("Pfister", "P236");
    check_soundex("Ashcraft", "A261");
    check_soundex("Ashcroft", "A261");
    check_soundex("Honeyman", "H555");
    check_soundex("Washington", "W252");
    check_soundex("Lee", "L000");
    check_soundex("Gutierrez", "G362");
    check_soundex("Jackson", "J250");
    check_soundex("VanDeusen", "V532");
    check_soundex("Robert", "R163");
    check_soundex("Rupert", "R163");
    check_soundex("Rubin", "R150");
    check_soundex("Euler", "E460");
    check_soundex("Ellery", "E460");
    check_soundex("Gauss", "G200");
    check_soundex("Hilbert", "H416");
    check_soundex("Knuth", "K530");
    check_soundex("Lloyd", "L300");
    check_soundex("Lukasiewicz", "L222");
    check_soundex("o'hara", "O600");
    check_soundex("  123 ", "");
    check_soundex("", "");

    check_nysiis("Worthy", "WARTY");
    check_nysiis("Ogata", "OGAT");
    check_nysiis("montgomery", "MANTGANARY");
    check_nysiis("Costales", "CASTAL");
    check_nysiis("Tu", "T");
    check_nysiis("martincevic", "MARTANCAFAC");
    check_nysiis("Catherine", "CATARAN");
    check_nysiis("Katherine", "CATARAN");
    check_nysiis("Katerina", "CATARAN");
    check_nysiis("Johnathan", "JANATAN");
    check_nysiis("Jonathan", "JANATAN");
    check_nysiis("John", "JAN");
    check_nysiis("Teresa", "TARAS");
    check_nysiis("Theresa", "TARAS");
    check_nysiis("Jessica", "JASAC");
    check_nysiis("Joshua", "JAS");
    check_nysiis("Lapher", "LAFAR");
    check_nysiis("wiyh", "WY");
    check_nysiis("MacArthur", "MCARTAR");
    check_nysiis("Pheenard", "FANAD");
    check_nysiis("Schmittie", "SNATY");
    check_nysiis("Knaqze", "NAGS");
    check_nysiis("Knokno", "NAN");
    check_nysiis("Knoko", "NAC");
    check_nysiis("Macaw", "MC");
    check_nysiis("T", "T");
    check_nysiis("S", "S");
    check_nysiis("K", "C");
    check_nysiis("E", "E");
    check_nysiis("", "");
    check_nysiis("'-", "");

    check_metaphone("Smith", "SM0", "XMT");
    check_metaphone("Schmidt", "XMT", "SMT");
    check_metaphone("Snider", "SNTR", "XNTR");
    check_metaphone("Schneider", "XNTR", "SNTR");
    check_metaphone("Thompson", "TMPS", "TMPS");
    check_metaphone("Thomas", "TMS", "TMS");
    check_metaphone("Catherine", "K0RN", "KTRN");
    check_metaphone("Michael", "MKL", "MXL");
    check_metaphone("Xavier", "SF", "SFR");
    check_metaphone("Wasserman", "ASRM", "FSRM");
    check_metaphone("Vasserman", "FSRM", "FSRM");
    check_metaphone("Knight", "NT", "NT");
    check_metaphone("Filipowicz", "FLPT", "FLPF");
    check_metaphone("Bach", "PK", "PK");
    check_metaphone("Jose", "HS", "HS");
    check_metaphone("San Jacinto", "SNHS", "SNHS");
    check_metaphone("Breaux", "PR", "PR");
    check_metaphone("Caesar", "SSR", "SSR");
    check_metaphone("edge", "AJ", "AJ");
    check_metaphone("edgar", "ATKR", "ATKR");
    check_metaphone("Thumb", "0M", "TM");
    check_metaphone("Campbell", "KMPL", "KMPL");
    check_metaphone("Arnow", "ARN", "ARNF");
    check_metaphone("Arnoff", "ARNF", "ARNF");
    check_metaphone("Rogier", "RJ", "RJR");
    check_metaphone("Cabrillo", "KPRL", "KPR");
    check_metaphone("Gallegos", "KLKS", "KKS");
    check_metaphone("Zhao", "J", "J");
    check_metaphone("laugh", "LF", "LF");
    check_metaphone("Hugh", "H", "H");
    check_metaphone("McLaughlin", "MKLF", "MKLF");
    check_metaphone("school", "SKL", "SKL");
    check_metaphone("Schenker", "XNKR", "SKNK");
    check_metaphone("Schlesinger", "XLSN", "SLSN");
    check_metaphone("focaccia", "FKX", "FKX");
    check_metaphone("accident", "AKST", "AKST");
    check_metaphone("Bellocchio", "PLX", "PLX");
    check_metaphone("Bacchus", "PKS", "PKS");
    check_metaphone("McClellan", "MKLL", "MKLL");
    check_metaphone("Czerny", "SRN", "XRN");
    check_metaphone("chianti", "KNT", "KNT");
    check_metaphone("chemistry", "KMST", "KMST");
    check_metaphone("architect", "ARKT", "ARKT");
    check_metaphone("orchestra", "ARKS", "ARKS");
    check_metaphone("Mac Gregor", "MKRK", "MKRK");
    check_metaphone("Tagliaro", "TKLR", "TLR");
    check_metaphone("Biaggi", "PJ", "PK");
    check_metaphone("Ghislane", "JLN", "JLN");
    check_metaphone("Cagney", "KKN", "KKN");
    check_metaphone("Jankelowicz", "JNKL", "ANKL");
    check_metaphone("Yankelovich", "ANKL", "ANKL");
    check_metaphone("bajador", "PJTR", "PHTR");
    check_metaphone("Hochmeier", "HKMR", "HKMR");
    check_metaphone("island", "ALNT", "ALNT");
    check_metaphone("sugar", "XKR", "SKR");
    check_metaphone("Resnais", "RSN", "RSNS");
    check_metaphone("Uomo", "AM", "AM");
    check_metaphone("Womo", "AM", "FM");
    check_metaphone("raspberry", "RSPR", "RSPR");
    check_metaphone("O'Hara", "AHR", "AHR");
    check_metaphone("", "", "");
    check_metaphone("42", "", "");

    check_cologne("Muller-Ludenscheidt", "65752682");
    check_cologne("Wikipedia", "3412");
    check_cologne("Breschnew", "17863");
    check_cologne("Meyer", "67");
    check_cologne("Maier", "67");
    check_cologne("Schmidt", "862");
    check_cologne("Schneider", "8627");
    check_cologne("Fischer", "387");
    check_cologne("Weber", "317");
    check_cologne("Wagner", "3467");
    check_cologne("Becker", "147");
    check_cologne("Hoffmann", "0366");
    check_cologne("Christian", "47826");
    check_cologne("Philipp", "351");
    check_cologne("Xaver", "4837");
    check_cologne("Heinz Classen", "068586");
    check_cologne("h", "");
    check_cologne("", "");

    /* The examples that the authors publish. */
    check_daitch("AUERBACH", "097400,097500");
    check_daitch("OHRBACH", "097400,097500");
    check_daitch("LIPSHITZ", "874400");
    check_daitch("LIPPSZYC", "874400,874500");
    check_daitch("LEWINSKY", "876450");
    check_daitch("LEVINSKI", "876450");
    check_daitch("SZLAMAWICZ", "486740");
    check_daitch("SHLAMOVITZ", "486740");
    check_daitch("PETERS", "734000,739400");
    check_daitch("PETERSON", "734600,739460");
    check_daitch("MOSKOWITZ", "645740");
    check_daitch("MOSKOVITZ", "645740");
    check_daitch("JACKSON", "145460,154600,445460,454600");
    check_daitch("SCHWARZENEGGER", "474659,479465");
    check_daitch("BREUER", "791900");
    check_daitch("FREUD", "793000");
    check_daitch("HALBERSTADT", "587433,587943");
    check_daitch("MANNHEIM", "665600");
    check_daitch("GOLDEN", "583600");
    check_daitch("ALPERT", "087930");
    check_daitch("HABER", "579000");
    check_daitch("MINTZ", "664000");
    check_daitch("TOPF", "370000");
    check_daitch("KLEINMAN", "586660");
    check_daitch("", "");
    check_daitch("12", "");

    test_random();
    return unit_done();
}
