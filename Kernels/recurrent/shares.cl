// Who computes what of a layer's steps: slices of the batch, or parts of the units.
//
// A slice is some of the sequences, longest first, so that those that have a step are the first of
// them. A part is some of the tiles of units, for every sequence; all parts keep step.
//
// The counts through which parts find each other are whole numbers. No sum of floats depends on who
// comes first.

#include "recurrent/layer.cl"

/// What a work-item computes: rows `first` to `end` of the order, tiles `first_tile` to `end_tile`
/// of the units.
typedef struct {
  int first, end, first_tile, end_tile, tiles;
  global const int *order;
  // The work-item, the last step that was begun, the parts, see below, and whose tiles were taken
  // last: of a slice 1 and 0. How many parts were looked at in the step, and how often to look.
  volatile global int *sync;
  int id, step, parts, taken, seen, polls;
} Share;

/// The sequence of a row.
INLINE int sequence_of(const Share *share, int row) {
  return share->order ? share->order[row] : row;
}

/// Where the rows end that have step t, given where those of the step next to it do.
INLINE int active_end(const Share *share, const Layer *layer, int t, int end) {
  if (!layer->lengths) return share->end;
  while (end > share->first && layer->lengths[share->order[end - 1]] <= t) --end;
  while (end < share->end && layer->lengths[share->order[end]] > t) ++end;
  return end;
}

// Parts. A work-item claims the tiles of its part at each step, computes them, tells that they are
// done, and looks at each other part until that is done too. Having looked often it claims a part
// that nobody has, for no rule of OpenCL promises that all parts run at the same time: the last to
// begin may find nothing left to do. Whoever computes a tile, its bits are the same.
//
// `sync` holds for each part the last step that was claimed, and the last that is done, LINE apart:
// a part's claims then stay in its own core's cache. Steps are counted on from launch to launch.

/// Counts in different lines of the cache.
#define LINE 16

INLINE volatile global int *claimed(const Share *share, int part) {
  return share->sync + 2 * part * LINE;
}
INLINE volatile global int *done(const Share *share, int part) {
  return share->sync + (2 * part + 1) * LINE;
}

/// Whether a count has not come to a step; it may have wrapped around.
INLINE int is_behind(int count, int step) { return (int)((uint)count - (uint)step) < 0; }

/// Where a part of `count` things begins.
INLINE int part_begin(const Share *share, int count, int part) {
  return count * part / share->parts;
}

/// Whether a part is this work-item's at a step: no one else's, and not done before.
INLINE int claim(Share *share, int part, int step) {
  volatile global int *last = claimed(share, part);
  const int before = *last;
  if (!is_behind(before, step) || atomic_cmpxchg(last, before, step) != before) return 0;
  share->taken = part;
  share->first_tile = part_begin(share, share->tiles, part);
  share->end_tile = part_begin(share, share->tiles, part + 1);
  return 1;
}

/// From here on what was written before a count came to what it is now is seen.
INLINE void acquire(volatile global int *count) {
#if IS_PROCESSOR
  // It is only read: a write would take the line of memory from who counts.
  __atomic_load_n(count, __ATOMIC_ACQUIRE);
#else
  atomic_add(count, 0);
  mem_fence(CLK_GLOBAL_MEM_FENCE);
#endif
}

/// Whether part `part` is done at a step, after looking for as long as is worth it.
INLINE int is_done(Share *share, int part, int step) {
  volatile global int *last = done(share, part);
  for (int poll = 0; is_behind(*last, step); ++poll) {
    if (poll >= share->polls) return 0;
  }
  acquire(last);
  return 1;
}

/// Whether there are tiles to compute at a step, `first_tile` to `end_tile`; those taken before are
/// done. Of a share that is not a part they are always the same.
INLINE int take_tiles(Share *share, int step) {
  const int is_new = share->step != step;
  share->step = step;
  if (!share->sync) return is_new;
  const int id = share->id, parts = share->parts;
  if (is_new) {
    share->seen = 1;
    if (claim(share, id, step)) return 1;
    share->seen = 0;
  } else {
    mem_fence(CLK_GLOBAL_MEM_FENCE);
    atomic_xchg(done(share, share->taken), step);
  }
  while (share->seen < parts) {
    const int part = (id + share->seen) % parts;
    if (is_done(share, part, step)) {
      ++share->seen;
    } else if (claim(share, part, step)) {
      // Who is late may not come at all.
      share->polls /= 2;
      ++share->seen;
      return 1;
    }
  }
  return 0;
}

/// The share of a work-item: a slice of the rows, or with `sync` a part of the tiles. Steps are
/// counted from `step_base` + 1 on.
INLINE void find_share(Share *share, int tile_units, int N, int H, global const int *order,
                       volatile global int *sync, int step_base, int polls) {
  const int id = get_global_id(0), count = get_global_size(0);
  share->id = id;
  share->first = sync ? 0 : slice_begin(id, count, N);
  share->end = sync ? N : slice_begin(id + 1, count, N);
  share->tiles = (H + tile_units - 1) / tile_units;
  share->first_tile = 0;
  share->end_tile = share->tiles;
  share->order = order;
  share->sync = sync;
  share->step = step_base;
  share->parts = sync ? count : 1;
  share->taken = 0;
  share->polls = polls;
}
