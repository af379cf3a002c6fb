/*
 * run_as.h: SQL text that runs with the rights of an environment's owner; see run_as.c.
 */
#ifndef MASTERING_STORAGE_RUN_AS_H
#define MASTERING_STORAGE_RUN_AS_H

/* The role and search_path of a text, and what they were; an error restores them with its transaction. */
typedef struct Disguise {
    Oid user;
    int security_context;
    int nest_level;
} Disguise;

/* From here on everything runs as the role, as a security-restricted operation, until take_off. */
extern Disguise put_on(Oid role, const char *search_path);
extern void take_off(Disguise before);

#endif
