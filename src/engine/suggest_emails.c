/*
 * suggest_emails.c: see suggest_emails.h.
 */
#include "compat.h"

#include "engine/normalize.h"
#include "engine/suggest_emails.h"
#include "kernel/word_forms.h"
#include "utils/builtins.h"

/* Whether a record has the mailbox of a role; values longer than addresses are not looked at. */
static bool
has_role_mailbox(const column_profile *profile)
{
    char address[320]; /* the longest there is: RFC 5321 */

    for (uint32 code = 1; code < profile->values->count; code++) {
        text_view view = profile->values->texts[code];
        text *value;
        bool role;

        if (view.length >= sizeof address)
            continue;
        value = text_view_to_text(view);
        role = VARSIZE_ANY_EXHDR(value) < sizeof address &&
               word_forms_is_role_mailbox(
                   address, word_forms_email(VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value), address));
        pfree(value);
        if (role)
            return true;
    }
    return false;
}

/*
 * A person has several e-mail addresses, strangers have one domain: of persons of whom little else is known
 * than their names, addresses are compared by what stands before the @. How rare that is (info, mail) counts,
 * too. Of others two people who write as info@ are no more alike than two who have one employer.
 */
void
suggest_emails(column_profile *profiles, int count, const evidence_kind *evidence)
{
    bool persons = false;

    for (int i = 0; i < count; i++)
        persons |= profiles[i].kind == KIND_NAME && profiles[i].given_names >= SOME_GIVEN_NAMES;
    for (int i = 0; i < count; i++) {
        column_profile *profile = &profiles[i];

        if (!persons || profile->kind != KIND_EMAIL || profile->is_list || profile->is_group)
            continue;
        profile->by_local_part = evidence[i] == EVIDENCE_NONE;
        if (evidence[i] == EVIDENCE_CONTACT && has_role_mailbox(profile)) {
            profile->expression =
                psprintf("mastering.personal_email(%s::pg_catalog.text)", quote_identifier(profile->name));
            profile->in_form = true;
        }
    }
}

const char *
suggest_compared(const column_profile *profile)
{
    return profile->by_local_part
               ? psprintf("pg_catalog.split_part(%s::pg_catalog.text, '@', 1)", profile->expression)
               : profile->expression;
}
