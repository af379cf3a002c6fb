/*
 * suggest_emails.h: how e-mail addresses of persons are compared.
 */
#ifndef MASTERING_ENGINE_SUGGEST_EMAILS_H
#define MASTERING_ENGINE_SUGGEST_EMAILS_H

#include "compat.h"

#include "engine/profile.h"
#include "engine/spec.h"

/* Of a table of persons: says in the profiles which addresses are compared without their domains, and in
 * which columns mailboxes of roles count as none, for strangers share them. */
extern void suggest_emails(const record_store *store, column_profile *profiles, int count,
                           const evidence_kind *evidence);

/* SQL of what is compared of a column; its key is the profile's expression. */
extern const char *suggest_compared(const column_profile *profile);

#endif
