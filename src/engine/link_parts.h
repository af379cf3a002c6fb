/*
 * link_parts.h: links dealt into parts that threads can work on side by side: no component of linked records
 * is in two of them. Within a part links keep their order, so what is done link by link has the same result
 * as without parts.
 *
 * The records of a part are its members, numbered from 0 in the order in which its labels and then its links
 * name them: those of one component lie together, and what is kept of a part's members lies in the
 * processor's cache while it is worked on, where that of all records would not.
 */
#ifndef MASTERING_ENGINE_LINK_PARTS_H
#define MASTERING_ENGINE_LINK_PARTS_H

#include "compat.h"

#include "engine/labels.h"
#include "engine/run.h"
#include "kernel/radix_sort.h"

#define MOST_LINK_PARTS 64
#define MEMBER_NUMBER 0x80000000 /* a record's number is less */

typedef struct link_parts {
    int count;
    keyed_record *links;                /* of the parts, one behind the other; record, extra: members */
    uint64 starts[MOST_LINK_PARTS + 1]; /* of the parts' links, and the end */
    label *labels;                      /* the same of the labels; NULL: there are none */
    uint64 label_starts[MOST_LINK_PARTS + 1];
    uint32 *members; /* by part and number: their records; of the places between parts some are not used */
    uint64 firsts[MOST_LINK_PARTS + 1]; /* places where the parts' members begin, and the end */
    uint32 member_counts[MOST_LINK_PARTS];
} link_parts;

/*
 * Two records that a label names are in one component, whatever it says. With one thread, or few links, there
 * is one part. numbers: by record, its own number; that of a member becomes its number in the part and
 * MEMBER_NUMBER.
 */
extern void link_parts_deal(match_run *run, const keyed_record *links, uint64 count,
                            const label_list *verdicts, uint32 *numbers, link_parts *parts);
extern void link_parts_free(link_parts *parts);

/* Where the members of a part begin: what is kept of members has as many places as link_parts_places. */
static inline uint64
link_parts_first(const link_parts *parts, int part)
{
    return parts->firsts[part];
}

static inline uint64
link_parts_places(const link_parts *parts)
{
    return link_parts_first(parts, parts->count);
}

#endif
