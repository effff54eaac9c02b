// 4: one launch for the whole sequence. A work-item for each core owns a slice of the batch and
// loops over all steps of it.
//
// A sequence never needs another one's state, so no core waits for another. The states of a slice
// and the weights stay in the caches of the core that uses them, and 1 launch takes the place of T.
//
// Weights as pack of 2_vectors.cl leaves them, tiles as in 3_tiles.cl. Step t reads what step
// t - 1 wrote to y. Global size of lstm_sequence: the slices.
//
// This is the plan of Kernels/recurrent/sequence.cl, the kernel that Carousel uses on CPUs. What it
// does beyond this: tiles of two vectors and 8 rows, any hidden size, lengths, every cell and
// option, the kept values for the backward pass, and a split of the hidden units where the batch is
// too small to be cut into slices.

#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)
#define REAL JOIN(float, WIDTH)
#define VLOAD JOIN(vload, WIDTH)
#define VSTORE JOIN(vstore, WIDTH)

REAL sigmoid(REAL z) { return 1.0f / (1.0f + exp(-z)); }

kernel void pack(global const float *weight_ih, global const float *weight_hh, global float *packed,
                 int C, int H) {
  const int k = get_global_id(0), block = get_global_id(1);
  for (int gate = 0; gate < 4; ++gate) {
    for (int lane = 0; lane < WIDTH; ++lane) {
      const int row = gate * H + block * WIDTH + lane;
      packed[((block * (C + H) + k) * 4 + gate) * WIDTH + lane] =
          k < C ? weight_ih[row * C + k] : weight_hh[row * H + k - C];
    }
  }
}

/// z[r] += the products of rows[r], `depth` long, with the weights of one block of units.
void multiply(REAL z[ROWS][4], global const float *const rows[ROWS], global const float *packed,
              int depth) {
  for (int k = 0; k < depth; ++k) {
    const REAL i = VLOAD(4 * k, packed), f = VLOAD(4 * k + 1, packed);
    const REAL g = VLOAD(4 * k + 2, packed), o = VLOAD(4 * k + 3, packed);
#pragma unroll
    for (int r = 0; r < ROWS; ++r) {
      const REAL value = rows[r][k];
      z[r][0] = fma(i, value, z[r][0]);
      z[r][1] = fma(f, value, z[r][1]);
      z[r][2] = fma(g, value, z[r][2]);
      z[r][3] = fma(o, value, z[r][3]);
    }
  }
}

/// One step of WIDTH units of up to ROWS sequences, those from `first` to before `end`.
void lstm_tile(global const float *x, global const float *packed, global const float *bias,
               global const float *h_before, global float *c, global float *h, int C, int H,
               int block, int first, int end) {
  REAL z[ROWS][4];
  global const float *inputs[ROWS], *states[ROWS];
#pragma unroll
  for (int r = 0; r < ROWS; ++r) {
    // Rows past the slice's last sequence repeat it and are not stored.
    const int n = min(first + r, end - 1);
    inputs[r] = x + n * C;
    states[r] = h_before + n * H;
    for (int gate = 0; gate < 4; ++gate) z[r][gate] = VLOAD(0, bias + gate * H + block * WIDTH);
  }
  packed += block * (C + H) * 4 * WIDTH;
  multiply(z, inputs, packed, C);
  multiply(z, states, packed + C * 4 * WIDTH, H);
#pragma unroll
  for (int r = 0; r < ROWS; ++r) {
    if (first + r >= end) break;
    const int state = (first + r) * H + block * WIDTH;
    const REAL after = sigmoid(z[r][1]) * VLOAD(0, c + state) + sigmoid(z[r][0]) * tanh(z[r][2]);
    VSTORE(after, 0, c + state);
    VSTORE(sigmoid(z[r][3]) * tanh(after), 0, h + state);
  }
}

kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
lstm_sequence(global const float *x, global const float *packed, global const float *bias,
              global const float *h_0, global float *c, global float *y, int T, int N, int C,
              int H) {
  const int slice = get_global_id(0), slices = get_global_size(0);
  const int begin = slice * N / slices, end = (slice + 1) * N / slices;
  for (int t = 0; t < T; ++t) {
    global const float *h_before = t == 0 ? h_0 : y + (t - 1) * N * H;
    for (int block = 0; block < H / WIDTH; ++block) {
      for (int first = begin; first < end; first += ROWS) {
        lstm_tile(x + t * N * C, packed, bias, h_before, c, y + t * N * H, C, H, block, first, end);
      }
    }
  }
}
