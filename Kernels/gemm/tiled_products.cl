// Matrix products for GPUs: C in tiles, slabs of A and B through local memory, sums in registers.
//
// Parameters:
//   TILE_M, TILE_N         rows and columns of C of one work-group.
//   MICRO_M, MICRO_N       those of one work-item, multiples of 4; TILE_M / MICRO_M is one of 4,
//                          TILE_N / MICRO_N one of 8.
//   DEPTH                  k of a slab, a multiple of 8; 16 where PRECISION is not 0. Each
//                          work-item loads the same number of quads, of A and of B: TILE DEPTH is
//                          a multiple of 4 ITEMS.
//   PRECISION              as in matrix_units.cl; where it is not 0, a warp has 8 MICRO_M rows
//                          and 4 MICRO_N columns.
//   A_ALONG_K, B_ALONG_K   1 where neighbours in memory differ in k, 0 where in m or n.
//   A_VECTOR, B_VECTOR     1 where four neighbours are read at once: the stride along them is 1,
//                          and offset, the other stride and the extents are multiples of 4.

#include "gemm/matrix_units.cl"

#ifndef TILE_M
#define TILE_M 128
#endif
#ifndef TILE_N
#define TILE_N 128
#endif
#ifndef MICRO_M
#define MICRO_M 8
#endif
#ifndef MICRO_N
#define MICRO_N 8
#endif
#ifndef DEPTH
#define DEPTH 8
#endif
#ifndef A_ALONG_K
#define A_ALONG_K 1
#endif
#ifndef B_ALONG_K
#define B_ALONG_K 1
#endif
#ifndef A_VECTOR
#define A_VECTOR 0
#endif
#ifndef B_VECTOR
#define B_VECTOR 0
#endif

// A quad is four floats that are neighbours along k, or along m or n.
#define ITEMS_X (TILE_N / MICRO_N)
#define ITEMS_Y (TILE_M / MICRO_M)
#define ITEMS (ITEMS_X * ITEMS_Y)
#define A_QUADS (TILE_M * DEPTH / 4 / ITEMS)
#define B_QUADS (TILE_N * DEPTH / 4 / ITEMS)
// The sums of a work-item are in blocks of 4 x 4, spread evenly over the tile, so that neighbouring
// work-items read neighbouring vectors of a slab.
#define BLOCKS_M (MICRO_M / 4)
#define BLOCKS_N (MICRO_N / 4)
#define BLOCK_ROWS (TILE_M / BLOCKS_M)
#define BLOCK_COLUMNS (TILE_N / BLOCKS_N)
// A slab has one row for each k, with a vector of padding: two quads along k, stored by neighbours,
// then go to different banks. With PRECISION it lies as matrix_units.cl describes.
#define PADDING (PRECISION ? 0 : 1)
#define A_PITCH (TILE_M / 4 + PADDING)
#define B_PITCH (TILE_N / 4 + PADDING)

/// Along k so many work-items read neighbours of a row: 8 floats are a sector of the memory.
#define ROW_QUADS (PRECISION ? DEPTH / 4 : 2)

/// The k within its slab that quad `e` of an operand begins with.
INLINE int quad_k(int e, int tile, int along_k) {
  return along_k ? e / (ROW_QUADS * tile) * (4 * ROW_QUADS) + e % ROW_QUADS * 4 : e / (tile / 4);
}

/// The row of A, or column of B, within its tile that quad `e` begins with.
INLINE int quad_m(int e, int tile, int along_k) {
  return along_k ? e / ROW_QUADS % tile : e % (tile / 4) * 4;
}

/// Where quad (k, m) of an operand's tile begins, `extent` rows from the end of all. Past the last
/// row it is that of the last one, whose products nobody stores then.
INLINE int
quad_start(int k, int m, int extent, int k_stride, int m_stride, int along_k, int vector) {
  return k * k_stride + min(m, extent - (vector && !along_k ? 4 : 1)) * m_stride;
}

/// A quad from x on, all of whose k there are: zeros past the last row.
INLINE float4 load_quad(global const float *x, int m, int extent, int k_stride, int m_stride,
                        int along_k, int vector) {
  if (vector) return *(global const float4 *)x;
  const int stride = along_k ? k_stride : m_stride, rest = along_k ? 3 : extent - 1 - m;
  return (float4)(x[0], rest > 0 ? x[stride] : 0.0f, rest > 1 ? x[2 * (size_t)stride] : 0.0f,
                  rest > 2 ? x[3 * (size_t)stride] : 0.0f);
}

/// A quad from x on: zeros for all k but the first `count`.
INLINE float4 load_first(global const float *x, int count, int m, int extent, int k_stride,
                         int m_stride, int along_k, int vector) {
  if (count <= 0) return (float4)(0.0f);
  if (vector || !along_k) return load_quad(x, m, extent, k_stride, m_stride, along_k, vector);
  return (float4)(x[0], count > 1 ? x[k_stride] : 0.0f, count > 2 ? x[2 * (size_t)k_stride] : 0.0f,
                  count > 3 ? x[3 * (size_t)k_stride] : 0.0f);
}

/// A quad to (k, m) of a slab.
INLINE void store_quad(float4 quad, local float4 *slab, int pitch, int k, int m, int along_k) {
  if (PRECISION) {
    slab[along_k ? (m * DEPTH + k) / 4 : k * pitch + PLACE_ACROSS(k, m) / 4] = round_four(quad);
  } else if (along_k) {
    local float *target = (local float *)slab + (size_t)k * pitch * 4 + m;
    target[0] = quad.s0;
    target[pitch * 4] = quad.s1;
    target[pitch * 8] = quad.s2;
    target[pitch * 12] = quad.s3;
  } else {
    slab[k * pitch + m / 4] = quad;
  }
}

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

#if PRECISION
#define WARPS_X (TILE_N / (4 * MICRO_N))
#define WARP_ROW(warp) ((warp) / WARPS_X * 8 * MICRO_M)
#define WARP_COLUMN(warp) ((warp) % WARPS_X * 4 * MICRO_N)
#define MATRIX_M (MICRO_M / 2)
#define MATRIX_N (MICRO_N / 2)
/// What matrix_four calls the pitch of a slab.
#define MATRIX_PITCH(tile, along_k) ((along_k) ? DEPTH / 4 : (tile))

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
#endif

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
  local float4 a_slabs[2 * DEPTH * A_PITCH], b_slabs[2 * DEPTH * B_PITCH];
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
#if !PRECISION
    // Of 32 neighbours, 8 by 4, those that differ in bit 0 read the same vectors of A, in bit 1 the
    // same of B: NVIDIA's local memory then serves both halves of 32 at once.
    const int x = item / 32 % (ITEMS_X / 8) * 8 + item / 8 % 4 * 2 + item % 2;
    const int y = item / 32 / (ITEMS_X / 8) * 4 + item / 2 % 4;
#endif
    const int tile = slab_index / slabs, slab = slab_index - tile * slabs;
    const int row = tile / tiles_x * TILE_M, column = tile % tiles_x * TILE_N;
    count = min(slabs - slab, last - slab_index);
    const int begin = slab * DEPTH, end = min(begin + count * DEPTH, K);

    float4 sums[MICRO_M][BLOCKS_N];
#pragma unroll
    for (int i = 0; i < MICRO_M; ++i) {
#pragma unroll
      for (int j = 0; j < BLOCKS_N; ++j) sums[i][j] = (float4)(0.0f);
    }

    // The first slab has the k that are left over, so that all others are whole.
    const int first = end > begin ? (end - begin - 1) % DEPTH + 1 : 0;
    // The next slab of the tile, which may lie far into a large matrix, and this work-item's quads
    // of it, which are near.
    global const float *a_next = a + (size_t)begin * a_column + (size_t)row * a_row;
    global const float *b_next = b + (size_t)begin * b_row + (size_t)column * b_column;
    int a_starts[A_QUADS], b_starts[B_QUADS];
    float4 a_quads[A_QUADS], b_quads[B_QUADS];
#pragma unroll
    for (int i = 0; i < A_QUADS; ++i) {
      const int e = item + i * ITEMS, k = quad_k(e, TILE_M, A_ALONG_K);
      const int m = quad_m(e, TILE_M, A_ALONG_K);
      a_starts[i] = quad_start(k, m, M - row, a_column, a_row, A_ALONG_K, A_VECTOR);
      a_quads[i] = load_first(a_next + a_starts[i], first - k, m, M - row, a_column, a_row,
                              A_ALONG_K, A_VECTOR);
    }
    a_next += (size_t)first * a_column;
#pragma unroll
    for (int i = 0; i < B_QUADS; ++i) {
      const int e = item + i * ITEMS, k = quad_k(e, TILE_N, B_ALONG_K);
      const int n = quad_m(e, TILE_N, B_ALONG_K);
      b_starts[i] = quad_start(k, n, N - column, b_row, b_column, B_ALONG_K, B_VECTOR);
      b_quads[i] = load_first(b_next + b_starts[i], first - k, n, N - column, b_row, b_column,
                              B_ALONG_K, B_VECTOR);
    }
    b_next += (size_t)first * b_row;

    for (int k0 = begin + first - DEPTH; k0 < end; k0 += DEPTH, odd ^= 1) {
      local float4 *a_slab = a_slabs + odd * (DEPTH * A_PITCH);
      local float4 *b_slab = b_slabs + odd * (DEPTH * B_PITCH);
#pragma unroll
      for (int i = 0; i < A_QUADS; ++i) {
        const int e = item + i * ITEMS;
        store_quad(a_quads[i], a_slab, A_PITCH, quad_k(e, TILE_M, A_ALONG_K),
                   quad_m(e, TILE_M, A_ALONG_K), A_ALONG_K);
      }
#pragma unroll
      for (int i = 0; i < B_QUADS; ++i) {
        const int e = item + i * ITEMS;
        store_quad(b_quads[i], b_slab, B_PITCH, quad_k(e, TILE_N, B_ALONG_K),
                   quad_m(e, TILE_N, B_ALONG_K), B_ALONG_K);
      }

      // The next slab is on its way while this one is multiplied. The reads stand before the
      // barrier: behind it, compilers move them down to their first use, to have registers for
      // other things.
      if (k0 + DEPTH < end) {
#pragma unroll
        for (int i = 0; i < A_QUADS; ++i) {
          const int m = quad_m(item + i * ITEMS, TILE_M, A_ALONG_K);
          a_quads[i] =
              load_quad(a_next + a_starts[i], m, M - row, a_column, a_row, A_ALONG_K, A_VECTOR);
        }
        a_next += (size_t)DEPTH * a_column;
#pragma unroll
        for (int i = 0; i < B_QUADS; ++i) {
          const int n = quad_m(item + i * ITEMS, TILE_N, B_ALONG_K);
          b_quads[i] =
              load_quad(b_next + b_starts[i], n, N - column, b_row, b_column, B_ALONG_K, B_VECTOR);
        }
        b_next += (size_t)DEPTH * b_row;
      }

      barrier(CLK_LOCAL_MEM_FENCE);

#if PRECISION
      multiply_blocks(&sums[0][0], MATRIX_M, MATRIX_N, a_slab, MATRIX_PITCH(TILE_M, A_ALONG_K),
                      A_ALONG_K, WARP_ROW(item / 32), b_slab, MATRIX_PITCH(TILE_N, B_ALONG_K),
                      B_ALONG_K, WARP_COLUMN(item / 32), 0);
#else
#pragma unroll
      for (int k = 0; k < DEPTH; ++k) {
        float4 right[BLOCKS_N];
#pragma unroll
        for (int j = 0; j < BLOCKS_N; ++j) {
          right[j] = b_slab[k * B_PITCH + j * (BLOCK_COLUMNS / 4) + x];
        }
#pragma unroll
        for (int i = 0; i < BLOCKS_M; ++i) {
          const float4 left = a_slab[k * A_PITCH + i * (BLOCK_ROWS / 4) + y];
#pragma unroll
          for (int j = 0; j < BLOCKS_N; ++j) {
            sums[4 * i][j] = fma((float4)(left.s0), right[j], sums[4 * i][j]);
            sums[4 * i + 1][j] = fma((float4)(left.s1), right[j], sums[4 * i + 1][j]);
            sums[4 * i + 2][j] = fma((float4)(left.s2), right[j], sums[4 * i + 2][j]);
            sums[4 * i + 3][j] = fma((float4)(left.s3), right[j], sums[4 * i + 3][j]);
          }
        }
      }
#endif
    }

    // The tile within C, or in a part without gaps, rows or columns to leave out, and biases.
    const int whole = count == slabs;
    global float *result = whole ? c + c_offset + (size_t)row * c_row + column
                                 : partials + (size_t)(2 * group + (slab == 0)) * (TILE_M * TILE_N);
    const int stride = whole ? c_row : TILE_N;
    const int vector = !whole || ((N | c_row | c_offset) & 3) == 0;
    const int rows = whole ? M - row : TILE_M, columns = whole ? N - column : TILE_N;
#if PRECISION
#pragma unroll
    for (int i = 0; i < MATRIX_M * MATRIX_N; ++i) {
      const float4 four = sums[i / BLOCKS_N][i % BLOCKS_N];
      const int m = WARP_ROW(item / 32) + i / MATRIX_N * 16 + item % 32 / 4;
      const int n = WARP_COLUMN(item / 32) + i % MATRIX_N * 8 + item % 4 * 2;
      global float *target = result + (size_t)m * stride + n;
      global const float *own = whole && bias ? bias + column + n : 0;
      global const float *own2 = whole && bias2 ? bias2 + column + n : 0;
      const int adds = whole && accumulate, count_left = columns - n;
      if (m < rows) store_pair(four.xy, target, count_left, vector, adds, own, own2);
      target += 8 * (size_t)stride;
      if (m + 8 < rows) store_pair(four.zw, target, count_left, vector, adds, own, own2);
    }
#else
#pragma unroll
    for (int j = 0; j < BLOCKS_N; ++j) {
      const int n = j * BLOCK_COLUMNS + x * 4;
      if (n >= columns) continue;
      float4 sum = (float4)(0.0f);
      if (whole && bias) sum += load_four(bias + column + n, columns - n, 0);
      if (whole && bias2) sum += load_four(bias2 + column + n, columns - n, 0);
#pragma unroll
      for (int i = 0; i < MICRO_M; ++i) {
        const int m = i / 4 * BLOCK_ROWS + y * 4 + i % 4;
        if (m >= rows) continue;
        global float *four = result + (size_t)m * stride + n;
        float4 value = sums[i][j] + sum;
        if (whole && accumulate) value += load_four(four, columns - n, vector);
        store_four(value, four, columns - n, vector);
      }
    }
#endif
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
