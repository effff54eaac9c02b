// 2: the weights lie in the order in which they are read. Still a launch for each step; a work-item
// computes WIDTH hidden units of one sequence, one unit in each lane of a vector.
//
// W_ih and W_hh are packed once into one matrix:
//
//   packed[unit / WIDTH][k][gate][unit % WIDTH]      k = 0 … C - 1: W_ih, then H columns of W_hh
//
// so that the four gates of WIDTH units at one k are four whole vectors, one after the other, and
// the next k follows at once. No lane is gathered, no byte of a line goes unused.
//
// Global size of pack: [C + H, H / WIDTH]; of lstm_step: [H / WIDTH, N].
//
// What is slow: each multiply-add needs a vector of weights from memory that is used only once. The
// loads are the limit, not the arithmetic.

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

kernel void lstm_step(global const float *x, global const float *packed, global const float *bias,
                      global const float *h_0, global float *c, global float *y, int t, int C) {
  const int block = get_global_id(0), n = get_global_id(1);
  const int H = get_global_size(0) * WIDTH, N = get_global_size(1);
  global const float *h_before = t == 0 ? h_0 : y + (t - 1) * N * H;
  x += t * N * C;
  REAL z[4];
  for (int gate = 0; gate < 4; ++gate) z[gate] = VLOAD(0, bias + gate * H + block * WIDTH);
  packed += block * (C + H) * 4 * WIDTH;
  for (int k = 0; k < C + H; ++k) {
    const float value = k < C ? x[n * C + k] : h_before[n * H + k - C];
    for (int gate = 0; gate < 4; ++gate) z[gate] += VLOAD(k * 4 + gate, packed) * value;
  }
  global float *state = c + n * H + block * WIDTH;
  const REAL after = sigmoid(z[1]) * VLOAD(0, state) + sigmoid(z[0]) * tanh(z[2]);
  VSTORE(after, 0, state);
  VSTORE(sigmoid(z[3]) * tanh(after), 0, y + (t * N + n) * H + block * WIDTH);
}
