/*
 * member_rings.h: groups that only grow, whose members can be gone round.
 */
#ifndef MASTERING_ENGINE_MEMBER_RINGS_H
#define MASTERING_ENGINE_MEMBER_RINGS_H

#include "compat.h"

#include "engine/average_linkage.h"
#include "kernel/union_find.h"

typedef struct member_rings {
    union_find forest;
    uint32 *next; /* the members of a group in a ring */
} member_rings;

/* In the current memory context; no member is in a group yet. */
extern void member_rings_allocate(member_rings *rings, Size members);
extern void member_rings_free(member_rings *rings);

/* Kernel code from here on. */

/* Those of some members, from `first` on, by their numbers from there. */
extern member_rings member_rings_from(const member_rings *rings, uint64 first, uint32 count);

/* Each member alone. */
extern void member_rings_start(member_rings *rings);

/*
 * Joins two groups by their roots, and returns the root that remains: that of the larger one, of two equal
 * ones that of the lesser record. records: of the members.
 */
extern uint32 member_rings_join(member_rings *rings, const uint32 *records, uint32 a, uint32 b);

/* The records of some members of a group, from its root on; of a group of thousands, of those near the root.
 */
extern void member_rings_sample(const member_rings *rings, const uint32 *records, uint32 root,
                                record_group *sample);

static inline uint32
member_rings_root(member_rings *rings, uint32 member)
{
    return union_find_root(&rings->forest, member);
}

static inline uint32
member_rings_size(const member_rings *rings, uint32 root)
{
    return rings->forest.size[root];
}

#endif
