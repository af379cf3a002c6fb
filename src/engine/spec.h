/*
 * spec.h: the matching specification (JSON) as the engine works with it, and back to JSON.
 *
 * A model is a specification whose comparisons carry trained weights. Everything that can change a result
 * is in here, nothing of it is a setting. The members are described in doc/specification.md.
 */
#ifndef MASTERING_ENGINE_SPEC_H
#define MASTERING_ENGINE_SPEC_H

#include "compat.h"

#include "engine/frozen.h"
#include "kernel/blocking.h"
#include "kernel/comparison.h"
#include "kernel/fixed_point.h"
#include "kernel/term_vectors.h"
#include "lib/stringinfo.h"
#include "utils/jsonb.h"

/* How values are brought to one form before they are compared. */
typedef enum value_form {
    FORM_TEXT,         /* case, accents, punctuation and white space evened out */
    FORM_ALPHANUMERIC, /* the same without any space */
    FORM_DIGITS,       /* decimal digits only */
    FORM_NONE,         /* as it is */
    FORM_NUMBER,       /* the number in the text */
    FORM_DATE,         /* the date in the text */
} value_form;

/* Beside a form: the value is an array, and each of its elements is brought to the form. */
#define FORM_ELEMENTS 0x100

#define DEFAULT_MAX_BLOCK 5000
#define DEFAULT_WINDOW 50
#define DEFAULT_THRESHOLD 0.5
#define MAX_TOP_K 64
#define DEFAULT_INNER 0.9 /* of soft_tfidf */

/* What joins two clusters. */
typedef enum linkage {
    LINKAGE_AVERAGE, /* a link, and records that look alike on average */
    LINKAGE_SINGLE,  /* a link */
} linkage;

/* What a comparison is of, where the specification says it: what is expected of it before there are data
 * (expected.h). */
typedef enum evidence_kind {
    EVIDENCE_NONE,
    EVIDENCE_NAME, /* of a person, whole */
    EVIDENCE_GIVEN_NAME,
    EVIDENCE_BIRTH_DATE,
    EVIDENCE_IDENTIFIER, /* that one person alone has */
    EVIDENCE_CONTACT,    /* an e-mail address, a telephone number */
    EVIDENCE_SHARED,     /* by people of one household: a family name, an address */
} evidence_kind;

/* Whether a cluster may have two records of one source. */
typedef enum one_per_source {
    ONE_PER_SOURCE_EVIDENT, /* not of a source that evidently holds each thing once */
    ONE_PER_SOURCE_ALWAYS,
    ONE_PER_SOURCE_NEVER,
} one_per_source;

typedef struct rule_spec {
    const char *path;
    int part_count;
    char *parts[MAX_KEY_PARTS]; /* SQL expressions */
    const char *part_paths[MAX_KEY_PARTS];
    value_form form;
    int max_block;
    int window;
    int top_k; /* 0: records with equal keys; else that many nearest neighbours by the key's terms */
    int q;     /* of the terms: q-grams, 0 words */
    rule_splits splits;
} rule_spec;

/* Term frequencies of one attribute: how many of the records the model was trained on have a value. */
typedef struct term_frequencies {
    int count;
    char **values;  /* normalised, in the database's encoding */
    double *shares; /* of the records that have a value, or without copies */
    double
        listed; /* where they are without copies: the share of records whose value is listed; 0: their sum */
    double other; /* the share of any value that is not listed */
    double scale; /* of what a value's frequency adds */
    double usual; /* of words: the share that adds nothing; of values it is u */
    struct JsonbContainer
        *by_name; /* spec_read_to_ask: value -> share in the document, instead of the lists */
} term_frequencies;

typedef struct comparison_spec {
    const char *path;
    char *name;
    char *column;     /* or NULL */
    char *expression; /* SQL; of a column its quoted name */
    value_form form;  /* of each element where elements are compared */
    comparison_method method;
    element_mode elements;
    char *separator; /* between the elements of a text; NULL: it is an array */
    char *evaluated; /* what is evaluated: the expression, divided where there is a separator */
    int threshold_count;
    double thresholds[MAX_THRESHOLDS];
    int q;
    set_measure measure;
    double scale;
    double inner; /* METHOD_SOFT_TFIDF: from which on words are alike */
    bool term_frequency;
    int part_of; /* 1 + the comparison of the text that this one's values are parts of; 0: of none */
    evidence_kind evidence;
    bool with_labels; /* labels alone give it a weight (label_comparisons.h) */

    bool trained;
    double m[MAX_LEVELS], u[MAX_LEVELS]; /* by level */
    int32 weights[MAX_LEVELS];
    term_frequencies frequencies;
    term_frequencies words; /* that names share which are not the same (name_words.h); usual 0: none */
    term_statistics terms;  /* where method_weighs_terms */
} comparison_spec;

typedef struct match_spec {
    value_form form; /* of rules and comparisons that say nothing else */
    int rule_count;
    rule_spec rules[MAX_RULES];
    int comparison_count;
    comparison_spec comparisons[MAX_COMPARISONS];
    bool across_sources;
    linkage linkage;
    one_per_source one_per_source;
    source_list unique_sources; /* of ONE_PER_SOURCE_EVIDENT */
    double threshold;           /* probability */
    double learnt_threshold;    /* the same, found in training without labels; 0: it was not */
    bool trained;
    double prior;    /* share of matches among all pairs */
    char *training;  /* JSON of what the model was trained on, or NULL */
    char *text;      /* versions of what normalised the texts it was trained on, or NULL */
    bool lists_stay; /* in the document: see spec_read_to_ask */
} match_spec;

/* Reads and checks a document; what is "specification" or "model". Raises 22023. */
extern match_spec *spec_read(Jsonb *document, const char *what);

/* The same for who needs the frequency of a few values only: the long lists stay in the document, which must
 * live as long, and spec_listed_share looks into them.
 */
extern match_spec *spec_read_to_ask(Jsonb *document, const char *what);

/* The share of the records that have a value, where the model lists it; else 0. */
extern double spec_listed_share(const term_frequencies *frequencies, const char *value, int length);

/* Raises 22023 when the specification has no trained weights. */
extern void spec_require_trained(const match_spec *spec);

/* The whole of it, defaults written out, in a fixed order. */
extern Jsonb *spec_write(const match_spec *spec);

/* Level as people read it: "missing", "exact", ">= 0.92", "else". */
extern char *spec_level_label(const comparison_spec *comparison, int level);

/* What "evidence" says, as it stands in a specification. */
extern const char *evidence_name(evidence_kind evidence);

/* The form of a comparison's column in the store. */
static inline value_form
comparison_form(const comparison_spec *comparison)
{
    return comparison->elements == ELEMENTS_NONE ? comparison->form
                                                 : (value_form)(comparison->form | FORM_ELEMENTS);
}

extern int spec_level_count(const comparison_spec *comparison);
extern const char *method_name(comparison_method method);
extern const char *const comparison_method_names[];
extern const char *value_form_name(value_form form);

/* A JSON number that reads back as the same double; appended to out. */
extern void append_json_number(StringInfo out, double number);
extern void append_json_string(StringInfo out, const char *text);

#endif
