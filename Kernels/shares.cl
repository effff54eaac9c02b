// Who computes what of a layer's steps: slices of the batch, or parts of the units.
//
//   order_rows   the order in which slices hold sequences of different lengths.
//
// A slice is some of the sequences, longest first, so that those that have a step are the first of
// them. A part is some of the tiles of units, for every sequence; all parts keep step.
//
// The counts through which parts find each other are whole numbers. No sum of floats depends on who
// comes first.
//
// Assumes vector.cl, activation.cl, a cell, states.cl and layer.cl before it.

/// The first row of a slice.
INLINE int slice_begin(int slice, int slices, int N) {
  return slice * (N / slices) + min(slice, N % slices);
}

/// The sequences by length, dealt to the slices in turn, each slice's longest first. `counts` has
/// T + 2 elements. Global size: 1.
kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
order_rows(global const int *lengths, global int *order, global int *counts, int N, int T,
           int slices) {
  // First how many are longer than t, then where the next of length t goes.
  for (int t = 0; t <= T + 1; ++t) counts[t] = 0;
  for (int n = 0; n < N; ++n) counts[min(lengths[n], T)] += 1;
  int longer = 0;
  for (int t = T; t >= 0; --t) {
    const int count = counts[t];
    counts[t] = longer;
    longer += count;
  }
  for (int n = 0; n < N; ++n) {
    const int t = min(lengths[n], T), rank = counts[t]++;
    order[slice_begin(rank % slices, slices, N) + rank / slices] = n;
  }
}

/// What a work-item computes: rows `first` to `end` of the order, tiles `first_tile` to `end_tile`
/// of the units, of which `next_tile` is the next.
typedef struct {
  int first, end, first_tile, end_tile, tiles, next_tile;
  global const int *order;
  // Of parts, see below.
  volatile global int *sync;
  int polls, finished;
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

// Parts. A work-item of a part claims its tiles of each step, tells how many it has done, and waits
// until all tiles of the step are done. Having waited long it claims the tiles that nobody has,
// for no rule of OpenCL promises that all parts run at the same time: the last to begin may find
// nothing left to do. Whoever computes a tile, its bits are the same.
//
// `sync` holds how many tiles were done, and for each tile the last step that was claimed, LINE
// apart. Both go on from launch to launch: `done_base` and `step_base` are where this one begins.

/// Counts in different lines of the cache.
#define LINE 16

/// Whether a tile is this work-item's at a step: no one else's, and not done before.
INLINE int claim(volatile global int *sync, int tile, int step) {
  volatile global int *last = sync + (1 + tile) * LINE;
  const int before = *last;
  return (int)((uint)before - (uint)step) < 0 && atomic_cmpxchg(last, before, step) == before;
}

/// The next tile of a step, or -1 once all are done: those of the share, and in parts those that
/// are late. `step` and `done` are what `sync` holds with the step claimed and done.
INLINE int take_tile(Share *share, int step, int done) {
  while (share->next_tile < share->end_tile) {
    const int tile = share->next_tile++;
    if (share->sync && !claim(share->sync, tile, step)) continue;
    ++share->finished;
    return tile;
  }
  if (!share->sync) return -1;
  mem_fence(CLK_GLOBAL_MEM_FENCE);
  atomic_add(share->sync, share->finished);
  share->finished = 0;
  for (int poll = 0; (int)((uint)share->sync[0] - (uint)done) < 0; ++poll) {
    if (poll < share->polls) continue;
    poll = 0;
    for (int tile = 0; tile < share->tiles; ++tile) {
      if (!claim(share->sync, tile, step)) continue;
      share->finished = 1;
      return tile;
    }
  }
  // The others' results are seen from here on.
  atomic_add(share->sync, 0);
  mem_fence(CLK_GLOBAL_MEM_FENCE);
  return -1;
}

/// The share of a work-item: a slice of the rows, or with `sync` a part of the tiles.
INLINE void find_share(Share *share, int tile_units, int N, int H, global const int *order,
                       volatile global int *sync, int polls) {
  const int id = get_global_id(0), count = get_global_size(0);
  const int tiles = (H + tile_units - 1) / tile_units;
  share->first = sync ? 0 : slice_begin(id, count, N);
  share->end = sync ? N : slice_begin(id + 1, count, N);
  share->first_tile = sync ? tiles * id / count : 0;
  share->end_tile = sync ? tiles * (id + 1) / count : tiles;
  share->tiles = tiles;
  share->order = order;
  share->sync = sync;
  share->polls = polls;
  share->finished = 0;
}
