// 1: the equations as they stand. A launch for each step; a work-item computes one hidden unit of
// one sequence.
//
//   z = W_ih x + W_hh h' + b      rows of z in the order i, f, g, o
//   i, f, o = sigmoid(z)          g = tanh(z)
//   c = f c' + i g                h = o tanh(c)
//
// Layouts, row-major: x [T, N, C], y (every h) [T, N, H], h_0 and c [N, H], W_ih [4 H, C],
// W_hh [4 H, H], b [4 H]. Global size: [H, N].
//
// What is slow: neighbouring work-items read rows of W that lie C or H floats apart. A CPU puts
// neighbours side by side into the lanes of a vector, and has to gather each lane from elsewhere;
// a GPU fetches a line of memory for each lane and uses four bytes of it.

float sigmoid(float z) { return 1.0f / (1.0f + exp(-z)); }

kernel void lstm_step(global const float *x, global const float *weight_ih,
                      global const float *weight_hh, global const float *bias,
                      global const float *h_0, global float *c, global float *y, int t, int C) {
  const int unit = get_global_id(0), n = get_global_id(1);
  const int H = get_global_size(0), N = get_global_size(1);
  global const float *h_before = t == 0 ? h_0 : y + (t - 1) * N * H;
  x += t * N * C;
  float z[4];
  for (int gate = 0; gate < 4; ++gate) {
    const int row = gate * H + unit;
    float sum = bias[row];
    for (int k = 0; k < C; ++k) sum += weight_ih[row * C + k] * x[n * C + k];
    for (int k = 0; k < H; ++k) sum += weight_hh[row * H + k] * h_before[n * H + k];
    z[gate] = sum;
  }
  const int state = n * H + unit;
  c[state] = sigmoid(z[1]) * c[state] + sigmoid(z[0]) * tanh(z[2]);
  y[t * N * H + state] = sigmoid(z[3]) * tanh(c[state]);
}
