// The gradients of weights on CPU devices: products over all steps, of the gradients that reach a
// layer's sums with what the weights met. One work-item to a group.
//
// For each row k of K, the steps of all sequences, there are `slots` times `width` gradients; x
// [K, C] are the inputs, and h [K, H] the states before each step:
//
//   weight_ih = gradients^T x      bias_ih = the sums of the gradients over K
//   weight_hh = gradients^T h      bias_hh = the same
//
// Each leaves out the slot `skipped`, if not negative; the rows of the others follow each other
// from `first` on.
//
//   pack_gradients     gradients, inputs and states into tiles and panels, where the kernel that
//                      made the gradients did not.
//   weight_gradients   some panels of the products for a range of the gradients' columns.
//
// Built with ALONG_TILES 1.

#include "gemm/gradient_tiles.cl"
#include "recurrent/states.cl"

/// The k, and the vectors of columns, that are packed together: pages enough for the processor to
/// remember, and enough of each k to be read as one stretch.
#define PACK_K 64
#define PACK_VECTORS 4
/// How many k ahead a line is fetched.
#define PACK_AHEAD 8

/// Some rows of the gradients, `stride` floats apart, and the tiles that they are packed into.
typedef struct {
  global float *gradient_tiles;
  int K, begin, end, stride;
} Block;

/// Packs a block's rows of `vectors` vectors of columns from `a` on, of which the first `count`
/// columns are there, as those from `m` on.
INLINE void
pack_block(const int vectors, global const float *a, int count, int m, const Block *block) {
  const int stride = block->stride;
  for (int k = block->begin; k < block->end; ++k) {
    for (int v = 0; v < vectors; ++v) {
      const int column = v * WIDTH;
      fetch(a + (size_t)min(k + PACK_AHEAD, block->end - 1) * stride + column);
      store_in_tiles(load_lanes(a + (size_t)k * stride + column, count - column),
                     block->gradient_tiles, m + column, k, block->K);
    }
  }
}

/// One row of `columns` columns, or zeros where it is null, as row k of its panels.
INLINE void pack_row(global const float *row, int columns, global float *panels, int k, int K) {
  for (int column = 0; column < columns; column += COLUMNS) {
    store_in_panel(row ? row + column : row, columns - column, panels + (size_t)column * K, k);
  }
}

/// Packs the gradients a[offset + k stride + slot width + unit]; x [T N, C], or nothing with C 0;
/// the states of y, whose rows are `y_stride` apart from `y_offset` on, or nothing with H 0. Global
/// size: work-items, each with `columns_per_item` of the tiles' columns, a multiple of WIDTH, and
/// with an equal range of K.
kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
pack_gradients(global const float *a, int slots, int width, int stride, int offset,
               int columns_per_item, global float *gradient_tiles, global const float *x, int C,
               global const float *y, int y_stride, int y_offset, global const float *h_0,
               global const int *lengths, int H, int T, int N, int reverse, global float *panels) {
  const int depth = T * N, K = padded_depth(depth);
  const int item = get_global_id(0), items = get_global_size(0);
  global float *state_panels = panels + (size_t)panel_count(C) * K * COLUMNS;
  const States states = {y + y_offset, h_0, lengths, y_stride, H, T, N, reverse};
  const int k_end = (int)((long)depth * (item + 1) / items);
  for (int k = (int)((long)depth * item / items); k < k_end; ++k) {
    if (C) pack_row(x + (size_t)k * C, C, panels, k, K);
    if (H) pack_row(state_before(&states, k / N, k % N), H, state_panels, k, K);
  }
  const int padded = padded_width(width), first = item * columns_per_item;
  const int end = min(first + columns_per_item, slots * padded);
  for (int k0 = 0; k0 < depth; k0 += PACK_K) {
    const Block block = {gradient_tiles, K, k0, min(k0 + PACK_K, depth), stride};
    for (int m = first; m < end;) {
      const int unit = m % padded, vectors = min(padded - unit, end - m) / WIDTH;
      global const float *column = a + offset + m / padded * width + unit;
      if (vectors >= PACK_VECTORS) {
        pack_block(PACK_VECTORS, column, width - unit, m, &block);
        m += PACK_VECTORS * WIDTH;
      } else {
        pack_block(1, column, width - unit, m, &block);
        m += WIDTH;
      }
    }
  }
}

/// The gradients of a weight [M, columns] and of its bias [M], which may be null; the rows begin at
/// `first` and leave out the slot `skipped`, if not negative.
typedef struct {
  global float *weight, *bias;
  int columns, first, skipped;
} Target;

/// The row of a slot's first column, or -1 where the slot is left out.
INLINE int slot_row(const Target *target, int slot, int width) {
  if (slot == target->skipped) return -1;
  const int is_behind = target->skipped >= 0 && slot > target->skipped;
  return target->first + (slot - is_behind) * width;
}

/// The sums over `depth` k of a tile's columns.
INLINE void tile_sums(global const float *tile, int depth, float sums[ROWS]) {
  // Four sums, and then theirs: a single one would wait for itself at each k.
  float8 parts[4] = {(float8)(0.0f), (float8)(0.0f), (float8)(0.0f), (float8)(0.0f)};
  int k = 0;
  for (; k + 4 <= depth; k += 4) {
    for (int i = 0; i < 4; ++i) parts[i] += vload8(k + i, tile);
  }
  for (; k < depth; ++k) parts[0] += vload8(k, tile);
  vstore8((parts[0] + parts[1]) + (parts[2] + parts[3]), 0, sums);
}

/// bias[m] = sums[m], or with `is_more` that much more, of `count` columns from `first` on of the
/// slot that begins with `row`; nothing where there is no bias or the slot is left out.
INLINE void
add_sums(const Target *target, const float sums[ROWS], int row, int first, int count, int is_more) {
  if (!target->bias || row < 0) return;
  global float *bias = target->bias + row + first;
  for (int m = 0; m < count; ++m) bias[m] = is_more ? bias[m] + sums[m] : sums[m];
}

/// The sums of a tile begin as zeros, or with `is_more` as what is there.
INLINE void begin_sums(int rows, REAL sums[ROWS][2], global const float *c, int stride, int count,
                       int is_more) {
  for (int r = 0; r < ROWS; ++r) sums[r][0] = sums[r][1] = (REAL)(0.0f);
  if (is_more) load_tile(rows, sums, c, stride, count);
}

/// The steps of all sequences together.
INLINE int count_steps(global const int *lengths, int T, int N) {
  if (!lengths) return T * N;
  int count = 0;
  for (int n = 0; n < N; ++n) count += min(lengths[n], T);
  return count;
}

/// weight_ih [M, C] and weight_hh [M, H], and where they are not null the biases [M]. With
/// `lengths` [N] only the first rows of the K that the tiles have room for are there, one for each
/// step of each sequence. Global size: ranges of `panels_per_item` panels, at least one, and ranges
/// of `columns_per_item` columns, whole tiles, dealt out to hands: the ranges of a hand, the hands.
/// A product may leave out whole ranges, and PoCL gives a thread many work-items that follow each
/// other.
kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
weight_gradients(global const float *gradient_tiles, global const float *panels,
                 global const int *lengths, int T, int N, int slots, int width,
                 global float *weight_ih, int C, global float *bias_ih, int first_ih,
                 int skipped_ih, global float *weight_hh, int H, global float *bias_hh,
                 int first_hh, int skipped_hh, int panels_per_item, int columns_per_item) {
  const int K = padded_depth(T * N), padded = padded_width(width);
  const int input_panels = panel_count(C), count = input_panels + panel_count(H);
  const int left = get_global_id(0) * panels_per_item, right = min(left + panels_per_item, count);
  const int range = get_global_id(1) * get_global_size(2) + get_global_id(2);
  const int first = range * columns_per_item, end = min(first + columns_per_item, slots * padded);
  const int rows_there = count_steps(lengths, T, N), pass = pass_depth(rows_there);
  const Target ih = {weight_ih, bias_ih, C, first_ih, skipped_ih};
  const Target hh = {weight_hh, bias_hh, H, first_hh, skipped_hh};
  for (int k0 = 0; k0 == 0 || k0 < rows_there; k0 += pass) {
    const int depth = min(pass, rows_there - k0);
    const int k_end = k0 + depth < rows_there ? k0 + depth : K;
    global const float *next = next_panels(panels, left, right < count ? right : 0, k_end, K);
    for (int m = first, rows; m < end; m += rows) {
      const int slot = m / padded, unit = m % padded, there = min(width - unit, end - m);
      rows = there > 0 ? next_rows(there, width == 1) : padded - unit;
      if (there <= 0) continue;
      const int row_ih = slot_row(&ih, slot, width), row_hh = slot_row(&hh, slot, width);
      const int called = call_rows(rows, width == 1);
      // The tile that begins among these rows, of which there is one at most.
      const int tile = (m + ROWS - 1) / ROWS * ROWS;
      if (left == 0 && (bias_ih || bias_hh) && tile < m + rows) {
        const int first_unit = unit + tile - m, count = min(ROWS, width - first_unit);
        float sums[ROWS];
        tile_sums(gradient_tiles + tile_offset(tile, k0, K), depth, sums);
        add_sums(&ih, sums, row_ih, first_unit, count, k0 > 0);
        add_sums(&hh, sums, row_hh, first_unit, count, k0 > 0);
      }
      global const float *a[ROWS];
      for (int r = 0; r < called; ++r)
        a[r] = gradient_tiles + tile_offset(m + min(r, rows - 1), k0, K);
      // The last tile that the next turn reads.
      global const float *next_tile =
          gradient_tiles + tile_offset((m + 2 * rows - 1) / ROWS * ROWS, k0, K);
      for (int panel = left; panel < right; ++panel) {
        const int is_state = panel >= input_panels, columns = is_state ? H : C;
        const int row = is_state ? row_hh : row_ih;
        if (row < 0) continue;
        const int column = (is_state ? panel - input_panels : panel) * COLUMNS;
        global float *c =
            (is_state ? weight_hh : weight_ih) + (size_t)(row + unit) * columns + column;
        REAL sums[ROWS][2];
        if (panel + 1 < right) fetch_tile(rows, c + COLUMNS, columns);
        else fetch_tile(rows, c - (panel - left) * COLUMNS + (size_t)rows * columns, columns);
        begin_sums(rows, sums, c, columns, columns - column, k0 > 0);
        global const float *operand = panels + ((size_t)panel * K + k0) * COLUMNS;
        row_products(called, sums, a, operand, depth,
                     item_ahead(panel - left, (m - first) / CALL_ROWS, right - left, next_tile,
                                next, K, depth));
        store_tile(rows, sums, c, columns, columns - column);
      }
    }
  }
}
