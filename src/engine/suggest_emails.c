/*
 * suggest_emails.c: see suggest_emails.h.
 */
#include "compat.h"

#include "engine/normalize.h"
#include "engine/suggest_emails.h"
#include "kernel/word_forms.h"
#include "utils/builtins.h"

#define SHARED_MORE 1.5 /* times as many records for an address of a role as for another */

static bool
is_role_mailbox(text_view view)
{
    char address[320]; /* the longest there is: RFC 5321 */
    text *value;
    bool role;

    if (view.length >= sizeof address)
        return false;
    value = text_view_to_text(view);
    role = VARSIZE_ANY_EXHDR(value) < sizeof address &&
           word_forms_is_role_mailbox(
               address, word_forms_email(VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value), address));
    pfree(value);
    return role;
}

/*
 * Whether strangers have mailboxes of roles in common: one is shared by more records than another address,
 * and most records have another. Where each of them has its own (post@ of the domain of one person) it tells
 * who is who as well as any.
 */
static bool
share_role_mailboxes(const record_store *store, int column, const column_profile *profile)
{
    uint32 count = profile->values->count;
    uint32 *records = MemoryContextAllocExtended(
        CurrentMemoryContext, mul_size(Max(count, 1), sizeof(uint32)), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
    double addresses[2] = {0}, having[2] = {0}; /* of others, of roles */

    for (uint32 record = 0; record < store->records.count; record++)
        records[record_row(&store->records, record)[column]]++;
    for (uint32 code = 1; code < count; code++)
        if (records[code] > 0) {
            bool role = is_role_mailbox(profile->values->texts[code]);

            addresses[role]++;
            having[role] += records[code];
        }
    pfree(records);
    return addresses[true] > 0 && having[true] <= having[false] &&
           having[true] * addresses[false] >= SHARED_MORE * having[false] * addresses[true];
}

/*
 * A person has several e-mail addresses, strangers have one domain: of persons of whom little else is known
 * than their names, addresses are compared by what stands before the @. How rare that is (info, mail) counts,
 * too. Of others two people who write as info@ are no more alike than two who have one employer.
 */
void
suggest_emails(const record_store *store, column_profile *profiles, int count, const evidence_kind *evidence)
{
    bool persons = false;

    for (int i = 0; i < count; i++)
        persons |= profiles[i].kind == KIND_NAME && profiles[i].given_names >= SOME_GIVEN_NAMES;
    for (int i = 0; i < count; i++) {
        column_profile *profile = &profiles[i];

        if (!persons || profile->kind != KIND_EMAIL || profile->is_list || profile->is_group)
            continue;
        profile->by_local_part = evidence[i] == EVIDENCE_NONE;
        if (evidence[i] == EVIDENCE_CONTACT && share_role_mailboxes(store, i, profile)) {
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
