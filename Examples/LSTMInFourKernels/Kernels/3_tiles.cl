// 3: each vector of weights that is loaded serves several sequences. A launch for each step; a
// work-item computes a tile: WIDTH hidden units of ROWS sequences.
//
// The 4 ROWS sums of a tile stay in registers from the first k to the last. At each k it loads four
// vectors of weights and ROWS numbers, and does 4 ROWS multiply-adds with them: the arithmetic is
// the limit now. ROWS is what the registers allow: with 32 of them 4 rows (16 sums, 4 weights),
// with 16 of them 2.
//
// Weights as pack of 2_vectors.cl leaves them. Global size of lstm_step: [H / WIDTH, ⌈N / ROWS⌉].
//
// What is slow: a launch costs some microseconds, and at each step all cores wait for the last one
// and then fetch from each other's caches what that one wrote.

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

kernel void
lstm_step(global const float *x, global const float *packed, global const float *bias,
          global const float *h_0, global float *c, global float *y, int t, int C, int N) {
  const int block = get_global_id(0), first = get_global_id(1) * ROWS;
  const int H = get_global_size(0) * WIDTH;
  global const float *h_before = t == 0 ? h_0 : y + (t - 1) * N * H;
  x += t * N * C;
  REAL z[ROWS][4];
  global const float *inputs[ROWS], *states[ROWS];
#pragma unroll
  for (int r = 0; r < ROWS; ++r) {
    // Rows past the last sequence repeat it and are not stored.
    const int n = min(first + r, N - 1);
    inputs[r] = x + n * C;
    states[r] = h_before + n * H;
    for (int gate = 0; gate < 4; ++gate) z[r][gate] = VLOAD(0, bias + gate * H + block * WIDTH);
  }
  packed += block * (C + H) * 4 * WIDTH;
  multiply(z, inputs, packed, C);
  multiply(z, states, packed + C * 4 * WIDTH, H);
#pragma unroll
  for (int r = 0; r < ROWS; ++r) {
    if (first + r >= N) break;
    const int state = (first + r) * H + block * WIDTH;
    const REAL after = sigmoid(z[r][1]) * VLOAD(0, c + state) + sigmoid(z[r][0]) * tanh(z[r][2]);
    VSTORE(after, 0, c + state);
    VSTORE(sigmoid(z[r][3]) * tanh(after), 0, y + t * N * H + state);
  }
}
