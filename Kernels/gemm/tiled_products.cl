// Matrix products for GPUs: C in tiles, slabs of A and B through local memory, sums in registers.
//
// Parameters as in tile_slabs.cl.

#include "gemm/tile_slabs.cl"

// The sums of a work-item are in blocks of 4 x 4, spread evenly over the tile, so that neighbouring
// work-items read neighbouring vectors of a slab.
#define BLOCKS_M (MICRO_M / 4)
#define BLOCKS_N (MICRO_N / 4)
#define BLOCK_ROWS (TILE_M / BLOCKS_M)
#define BLOCK_COLUMNS (TILE_N / BLOCKS_N)

/// The first `count` of four floats, zeros for the others; aligned ones at once with `vector`.
INLINE float4 load_four(global const float *x, int count, int vector) {
  if (vector) return *(global const float4 *)x;
  return (float4)(x[0], count > 1 ? x[1] : 0.0f, count > 2 ? x[2] : 0.0f, count > 3 ? x[3] : 0.0f);
}

/// Writes the first `count` of four floats.
INLINE void store_four(float4 value, global float *x, int count, int vector) {
  if (vector) {
    *(global float4 *)x = value;
    return;
  }
  x[0] = value.s0;
  if (count > 1) x[1] = value.s1;
  if (count > 2) x[2] = value.s2;
  if (count > 3) x[3] = value.s3;
}

/// Where a tile's sums go: to its first element, `stride` floats from row to row, of which `rows`
/// and `columns` are there. The biases begin with the tile's first column and may be null.
typedef struct {
  global float *first;
  global const float *bias, *bias2;
  int stride, rows, columns, vector, accumulate;
} Result;

#if PRECISION
#define WARPS_X (TILE_N / (4 * MICRO_N))
#define MATRIX_M (MICRO_M / 2)
#define MATRIX_N (MICRO_N / 2)
/// What matrix_four calls the pitch of a slab.
#define MATRIX_PITCH(tile, along_k) ((along_k) ? DEPTH / 4 : (tile))

/// The first row and column of a work-item's warp within the tile.
INLINE void find_sums(int item, int *row, int *column) {
  *row = item / 32 / WARPS_X * 8 * MICRO_M;
  *column = item / 32 % WARPS_X * 4 * MICRO_N;
}

/// sums += the product of two slabs, of the warp whose rows and columns begin with these.
INLINE void multiply_slabs(float4 sums[MICRO_M][BLOCKS_N], local const float4 *a_slab,
                           local const float4 *b_slab, int row, int column) {
  const MatrixOperand left = {a_slab, MATRIX_PITCH(TILE_M, A_ALONG_K), A_ALONG_K, row};
  const MatrixOperand right = {b_slab, MATRIX_PITCH(TILE_N, B_ALONG_K), B_ALONG_K, column};
  multiply_blocks(&sums[0][0], MATRIX_M, MATRIX_N, &left, &right, 0);
}

/// Two sums, at a row of C and there from column n on, with what else is added: `count` columns are
/// left from there on.
INLINE void store_pair(float2 pair, global float *target, int count, int vector, int accumulate,
                       global const float *bias, global const float *bias2) {
  if (count <= 0) return;
  if (bias) pair += (float2)(bias[0], count > 1 ? bias[1] : 0.0f);
  if (bias2) pair += (float2)(bias2[0], count > 1 ? bias2[1] : 0.0f);
  if (accumulate) pair += (float2)(target[0], count > 1 ? target[1] : 0.0f);
  if (vector) {
    *(global float2 *)target = pair;
    return;
  }
  target[0] = pair.x;
  if (count > 1) target[1] = pair.y;
}
/// Stores the sums of a work-item.
INLINE void store_sums(float4 sums[MICRO_M][BLOCKS_N], const Result *to, int item) {
  int row, column;
  find_sums(item, &row, &column);
#pragma unroll
  for (int i = 0; i < MATRIX_M * MATRIX_N; ++i) {
    const float4 four = sums[i / BLOCKS_N][i % BLOCKS_N];
    const int m = row + i / MATRIX_N * 16 + item % 32 / 4;
    const int n = column + i % MATRIX_N * 8 + item % 4 * 2, count = to->columns - n;
    global float *target = to->first + (size_t)m * to->stride + n;
    global const float *bias = to->bias ? to->bias + n : 0;
    global const float *bias2 = to->bias2 ? to->bias2 + n : 0;
    if (m < to->rows) store_pair(four.xy, target, count, to->vector, to->accumulate, bias, bias2);
    target += 8 * (size_t)to->stride;
    if (m + 8 < to->rows) {
      store_pair(four.zw, target, count, to->vector, to->accumulate, bias, bias2);
    }
  }
}
#else
/// The place of a work-item's sums in each block of the tile: the four rows and four columns from 4
/// y and 4 x on. Of 32 neighbours, 8 by 4, those that differ in bit 0 read the same vectors of A,
/// in bit 1 the same of B: NVIDIA's local memory then serves both halves of 32 at once.
INLINE void find_sums(int item, int *y, int *x) {
  *x = item / 32 % (ITEMS_X / 8) * 8 + item / 8 % 4 * 2 + item % 2;
  *y = item / 32 / (ITEMS_X / 8) * 4 + item / 2 % 4;
}

/// sums += the product of two slabs, of the work-item at (y, x).
INLINE void multiply_slabs(float4 sums[MICRO_M][BLOCKS_N], local const float4 *a_slab,
                           local const float4 *b_slab, int y, int x) {
#pragma unroll
  for (int k = 0; k < DEPTH; ++k) {
    float4 right[BLOCKS_N];
#pragma unroll
    for (int j = 0; j < BLOCKS_N; ++j) {
      right[j] = b_slab[k * PITCH(TILE_N) + j * (BLOCK_COLUMNS / 4) + x];
    }
#pragma unroll
    for (int i = 0; i < BLOCKS_M; ++i) {
      const float4 left = a_slab[k * PITCH(TILE_M) + i * (BLOCK_ROWS / 4) + y];
#pragma unroll
      for (int j = 0; j < BLOCKS_N; ++j) {
        sums[4 * i][j] = fma((float4)(left.s0), right[j], sums[4 * i][j]);
        sums[4 * i + 1][j] = fma((float4)(left.s1), right[j], sums[4 * i + 1][j]);
        sums[4 * i + 2][j] = fma((float4)(left.s2), right[j], sums[4 * i + 2][j]);
        sums[4 * i + 3][j] = fma((float4)(left.s3), right[j], sums[4 * i + 3][j]);
      }
    }
  }
}

/// Stores the sums of a work-item.
INLINE void store_sums(float4 sums[MICRO_M][BLOCKS_N], const Result *to, int item) {
  int y, x;
  find_sums(item, &y, &x);
#pragma unroll
  for (int j = 0; j < BLOCKS_N; ++j) {
    const int n = j * BLOCK_COLUMNS + x * 4, count = to->columns - n;
    if (count <= 0) continue;
    float4 sum = (float4)(0.0f);
    if (to->bias) sum += load_four(to->bias + n, count, 0);
    if (to->bias2) sum += load_four(to->bias2 + n, count, 0);
#pragma unroll
    for (int i = 0; i < MICRO_M; ++i) {
      const int m = i / 4 * BLOCK_ROWS + y * 4 + i % 4;
      if (m >= to->rows) continue;
      global float *four = to->first + (size_t)m * to->stride + n;
      float4 value = sums[i][j] + sum;
      if (to->accumulate) value += load_four(four, count, to->vector);
      store_four(value, four, count, to->vector);
    }
  }
}
#endif

/// sums = the product of the first `depth` k of two operands, both of them from the first slab of
/// this tile that the group has. `odd` says which of the two slabs of each in local memory is next.
INLINE void
multiply_tile(float4 sums[MICRO_M][BLOCKS_N], Operand *left, Operand *right, local float4 *a_slabs,
              local float4 *b_slabs, int *odd, int item, int depth) {
  int y, x;
  find_sums(item, &y, &x);
#pragma unroll
  for (int i = 0; i < MICRO_M; ++i) {
#pragma unroll
    for (int j = 0; j < BLOCKS_N; ++j) sums[i][j] = (float4)(0.0f);
  }
  // The first slab has the k that are left over, so that all others are whole.
  const int first = depth > 0 ? (depth - 1) % DEPTH + 1 : 0;
  int a_starts[QUADS(TILE_M)], b_starts[QUADS(TILE_N)];
  float4 a_quads[QUADS(TILE_M)], b_quads[QUADS(TILE_N)];
  load_first_slab(left, a_starts, a_quads, item, first, TILE_M, A_ALONG_K, A_VECTOR);
  load_first_slab(right, b_starts, b_quads, item, first, TILE_N, B_ALONG_K, B_VECTOR);
  for (int k0 = first - DEPTH; k0 < depth; k0 += DEPTH, *odd ^= 1) {
    local float4 *a_slab = a_slabs + *odd * (DEPTH * PITCH(TILE_M));
    local float4 *b_slab = b_slabs + *odd * (DEPTH * PITCH(TILE_N));
    store_slab(a_quads, a_slab, item, TILE_M, A_ALONG_K);
    store_slab(b_quads, b_slab, item, TILE_N, B_ALONG_K);
    // The next slab is on its way while this one is multiplied. The reads stand before the barrier:
    // behind it, compilers move them down to their first use, to have registers for other things.
    if (k0 + DEPTH < depth) {
      load_slab(left, a_starts, a_quads, item, TILE_M, A_ALONG_K, A_VECTOR);
      load_slab(right, b_starts, b_quads, item, TILE_N, B_ALONG_K, B_VECTOR);
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    multiply_slabs(sums, a_slab, b_slab, y, x);
  }
}

/// C [M, N] = A B + bias + bias2, or with `accumulate` 1 that much more than it was; the biases [N]
/// may be null.
///
/// Element (m, k) of A is a[a_offset + m a_row + k a_column], (k, n) of B is b[b_offset +
/// k b_row + n b_column], (m, n) of C is c[c_offset + m c_row + n]. All slabs of all tiles are in
/// a row, a tile's in the order of k, and work-group g multiplies the `slabs_per_group` from g
/// slabs_per_group on. What it has of a tile that others have slabs of too it leaves in partials [2
/// groups, TILE_M, TILE_N] for add_partials: at 2 g + 1 where it has the tile's first slab, else at
/// 2 g. Global size: ITEMS times the groups.
kernel __attribute__((reqd_work_group_size(ITEMS, 1, 1))) void
gemm_tiled(global const float *a, ulong a_offset, int a_row, int a_column, global const float *b,
           ulong b_offset, int b_row, int b_column, int K, int M, int N, int slabs_per_group,
           global float *partials, global float *c, int c_offset, int c_row, int accumulate,
           global const float *bias, global const float *bias2) {
  // Two slabs of each: one is filled while the other may still be read, with a barrier between.
  local float4 a_slabs[2 * DEPTH * PITCH(TILE_M)], b_slabs[2 * DEPTH * PITCH(TILE_N)];
  const int tiles_x = (N + TILE_N - 1) / TILE_N, tiles = (M + TILE_M - 1) / TILE_M * tiles_x;
  const int slabs = max((K + DEPTH - 1) / DEPTH, 1), group = get_group_id(0);
  const int last = min((group + 1) * slabs_per_group, tiles * slabs);
  a += a_offset;
  b += b_offset;
  int odd = 0, count;
  for (int slab_index = group * slabs_per_group; slab_index < last; slab_index += count) {
    // A shift that is 0, which compilers cannot know: what depends on the work-item is then
    // computed for each tile, and does not stay in registers while sums need them. What it saves
    // was measured with the tiles, never by itself.
    const int item = (int)get_local_id(0) + (slab_index >> 31);
    const int tile = slab_index / slabs, slab = slab_index - tile * slabs;
    const int row = tile / tiles_x * TILE_M, column = tile % tiles_x * TILE_N;
    count = min(slabs - slab, last - slab_index);
    const int begin = slab * DEPTH, end = min(begin + count * DEPTH, K);
    // The next slab of the tile may lie far into a large matrix; this work-item's quads of it are
    // near.
    Operand left = {a + (size_t)begin * a_column + (size_t)row * a_row, a_column, a_row, M - row};
    Operand right = {b + (size_t)begin * b_row + (size_t)column * b_column, b_row, b_column,
                     N - column};
    float4 sums[MICRO_M][BLOCKS_N];
    multiply_tile(sums, &left, &right, a_slabs, b_slabs, &odd, item, end - begin);
    // The tile within C; or where others have slabs of it too, a whole tile of the partials, to
    // which nothing else is added.
    Result to = {.first = partials + (size_t)(2 * group + (slab == 0)) * (TILE_M * TILE_N),
                 .stride = TILE_N,
                 .rows = TILE_M,
                 .columns = TILE_N,
                 .vector = 1};
    if (count == slabs) {
      to.first = c + c_offset + (size_t)row * c_row + column;
      to.stride = c_row, to.rows = M - row, to.columns = N - column;
      to.vector = ((N | c_row | c_offset) & 3) == 0, to.accumulate = accumulate;
      to.bias = bias ? bias + column : 0, to.bias2 = bias2 ? bias2 + column : 0;
    }
    store_sums(sums, &to, item);
  }
}

// Parts that a work-item of add_partials reads at once, and the work-items of its groups.
#define PARTS 8
#define ADD_ITEMS 128

/// The tiles of C that more than one group of gemm_tiled had a slabs_per_group of: the sums of
/// their partials in the order of k, and what else gemm_tiled adds. `tiles` and `slabs` are those
/// of C and of a tile. Global size: ADD_ITEMS times the quads of a tile / ADD_ITEMS, rounded up;
/// the tiles, or where the groups are fewer all groups but the first.
kernel __attribute__((reqd_work_group_size(ADD_ITEMS, 1, 1))) void
add_partials(int tiles, int slabs, int M, int N, int slabs_per_group, global const float *partials,
             global float *c, int c_offset, int c_row, int accumulate, global const float *bias,
             global const float *bias2) {
  // Where tiles are many, the one that a group begins within.
  const int index = get_group_id(1), by_group = (int)get_num_groups(1) < tiles;
  const int tile = by_group ? (index + 1) * slabs_per_group / slabs : index;
  const int first = tile * slabs / slabs_per_group,
            last = ((tile + 1) * slabs - 1) / slabs_per_group;
  // A tile that several groups begin within is added by the first of those.
  if (first == last || (by_group && first != index)) return;
  const int quad = get_global_id(0);
  if (quad >= TILE_M * TILE_N / 4) return;
  const int tiles_x = (N + TILE_N - 1) / TILE_N;
  const int m = tile / tiles_x * TILE_M + quad / (TILE_N / 4);
  const int n = tile % tiles_x * TILE_N + quad % (TILE_N / 4) * 4, count = N - n;
  if (m >= M || count <= 0) return;

  global const float4 *quads = (global const float4 *)partials + quad;
  float4 sum = quads[(size_t)(2 * first + 1) * (TILE_M * TILE_N / 4)];
  for (int g = first + 1; g <= last; g += PARTS) {
    // All of them are on their way before the first is added; those past the last are zeros.
    float4 values[PARTS];
#pragma unroll
    for (int i = 0; i < PARTS; ++i) {
      values[i] = (float4)(0.0f);
      if (g + i <= last) values[i] = quads[(size_t)(2 * (g + i)) * (TILE_M * TILE_N / 4)];
    }
#pragma unroll
    for (int i = 0; i < PARTS; ++i) sum += values[i];
  }
  if (bias) sum += load_four(bias + n, count, 0);
  if (bias2) sum += load_four(bias2 + n, count, 0);
  const int vector = ((N | c_row | c_offset) & 3) == 0;
  global float *target = c + c_offset + (size_t)m * c_row + n;
  if (accumulate) sum += load_four(target, count, vector);
  store_four(sum, target, count, vector);
}
