// Connectionist temporal classification (Graves et al. 2006), in logarithms.
//
// The L labels of a sequence with a blank before, between and behind them are 2 L + 1 states.
//
//   alpha[t, s] = log p[t, l(s)] + log(e^alpha[t-1, s] + e^alpha[t-1, s-1] + e^alpha[t-1, s-2])
//
// where s - 2 is allowed for a label that differs from the one before it; beta is the same from the
// end. Float32 has few digits left for logarithms of hundreds: after each step the largest alpha is
// taken from all, and what was taken is summed apart, in two floats. What alpha, beta lack at a
// step is the same for all of its states: their shares of the paths add to 1.
//
// Layouts: logits, log_p, grad_logits [T, N, V], labels [N, S], lengths and label_lengths [N],
// states [2, N, T, 2 S + 1], alpha before beta, weights [N].

#include "common/group.cl"

/// The class of state s.
INLINE int class_of(global const int *labels, int s, int blank) {
  return s % 2 ? labels[s / 2] : blank;
}

/// Whether state s may follow state s - 2.
INLINE int may_jump(global const int *labels, int s) {
  return s % 2 && s >= 3 && labels[s / 2] != labels[s / 2 - 1];
}

/// log(e^a + e^b + e^c); minus infinity where all are.
INLINE float log_sum(float a, float b, float c) {
  const float largest = fmax(a, fmax(b, c));
  if (largest == -INFINITY) return a + b + c;
  return largest + log(exp(a - largest) + exp(b - largest) + exp(c - largest));
}

/// log_p[m, :] = log softmax(logits[m, :]). Global size: LANES, T N.
kernel __attribute__((reqd_work_group_size(LANES, 1, 1))) void
ctc_log_softmax(global const float *logits, global float *log_p, int V) {
  GROUP_SCRATCH(scratch);
  const size_t row = (size_t)get_group_id(1) * V;
  float maximum = -INFINITY, sum = 0.0f;
  for (int v = get_local_id(0); v < V; v += LANES) maximum = fmax(maximum, logits[row + v]);
  maximum = GROUP_MAX(maximum, scratch);
  for (int v = get_local_id(0); v < V; v += LANES) sum += exp(logits[row + v] - maximum);
  sum = log(GROUP_SUM(sum, scratch));
  for (int v = get_local_id(0); v < V; v += LANES) log_p[row + v] = logits[row + v] - maximum - sum;
}

/// Alpha or beta of one sequence, the latter mirrored in time and states, and where not null
/// losses[n] = -log P. Global size: LANES, N, 2: alpha, beta.
kernel __attribute__((reqd_work_group_size(LANES, 1, 1))) void
ctc_states(global const float *log_p, global const int *labels, global const int *lengths,
           global const int *label_lengths, global float *states, global float *losses, int T,
           int N, int V, int S, int blank) {
  GROUP_SCRATCH(scratch);
  const int n = get_group_id(1), is_beta = get_group_id(2), lane = get_local_id(0);
  const int steps = lengths[n], count = 2 * label_lengths[n] + 1, room = 2 * S + 1;
  labels += (size_t)n * S;
  states += ((size_t)is_beta * N + n) * T * room;
  float total = 0.0f, rest = 0.0f;
  for (int i = 0; i < steps; ++i) {
    const int t = is_beta ? steps - 1 - i : i;
    global float *now = states + (size_t)t * room;
    global const float *before = is_beta ? now + room : now - room;
    global const float *row = log_p + ((size_t)t * N + n) * V;
    float largest = -INFINITY;
    for (int j = lane; j < count; j += LANES) {
      // j counts the states in the direction of the loop, s from the first label on.
      const int s = is_beta ? count - 1 - j : j, back = is_beta ? 1 : -1;
      float path = j < 2 ? 0.0f : -INFINITY;
      if (i > 0) {
        const int jumps = j >= 2 && (is_beta ? may_jump(labels, s + 2) : may_jump(labels, s));
        path = log_sum(before[s], j >= 1 ? before[s + back] : -INFINITY,
                       jumps ? before[s + 2 * back] : -INFINITY);
      }
      path += row[class_of(labels, s, blank)];
      now[s] = path;
      largest = path <= largest ? largest : path;
    }
    largest = GROUP_MAX(largest, scratch);
    if (largest > -INFINITY) {
      for (int j = lane; j < count; j += LANES) now[is_beta ? count - 1 - j : j] -= largest;
    }
    const float next = total + largest;
    rest += fabs(total) >= fabs(largest) ? total - next + largest : largest - next + total;
    total = next;
#if LANES > 1
    barrier(CLK_GLOBAL_MEM_FENCE);
#endif
  }
  if (is_beta || lane > 0) return;
  if (steps == 0) {
    losses[n] = count == 1 ? 0.0f : INFINITY;
    return;
  }
  global const float *last = states + (size_t)(steps - 1) * room + count - 1;
  const float ends = log_sum(last[0], count > 1 ? last[-1] : -INFINITY, -INFINITY);
  losses[n] = total == -INFINITY ? INFINITY : -(total + (rest + ends));
}

/// losses[n] = weights[n] losses[n], 0 where it is infinite and `drops` is 1. Global size: N.
kernel void ctc_weigh(global float *losses, global const float *weights, int drops) {
  const int n = get_global_id(0);
  losses[n] = drops && losses[n] == INFINITY ? 0.0f : weights[n] * losses[n];
}

/// grad_logits[t, n, v] = weights[n] (p[t, v] - the shares of the states of class v), 0 past a
/// sequence's end; where losses[n] is infinite NaN, or 0 where `drops` is 1. Global size: T N.
kernel void
ctc_gradient(global const float *log_p, global const float *states, global const float *losses,
             global const float *weights, global const int *labels, global const int *lengths,
             global const int *label_lengths, global float *grad_logits, int T, int N, int V, int S,
             int blank, int drops) {
  const int m = get_global_id(0), t = m / N, n = m % N;
  const int count = 2 * label_lengths[n] + 1, room = 2 * S + 1;
  const int is_impossible = losses[n] == INFINITY;
  log_p += (size_t)m * V;
  grad_logits += (size_t)m * V;
  labels += (size_t)n * S;
  if (t >= lengths[n] || is_impossible) {
    const float value = t < lengths[n] && !drops ? NAN : 0.0f;
    for (int v = 0; v < V; ++v) grad_logits[v] = value;
    return;
  }
  global const float *alpha = states + ((size_t)n * T + t) * room;
  global const float *beta = alpha + (size_t)N * T * room;
  float largest = -INFINITY, sum = 0.0f;
  for (int s = 0; s < count; ++s) {
    const float joint = alpha[s] + beta[s];
    const float share = joint == -INFINITY ? joint : joint - log_p[class_of(labels, s, blank)];
    largest = share <= largest ? largest : share;
  }
  for (int s = 0; s < count; ++s) {
    const float joint = alpha[s] + beta[s];
    if (joint != -INFINITY) sum += exp(joint - log_p[class_of(labels, s, blank)] - largest);
  }
  for (int v = 0; v < V; ++v) grad_logits[v] = exp(log_p[v]);
  for (int s = 0; s < count; ++s) {
    const int v = class_of(labels, s, blank);
    const float joint = alpha[s] + beta[s];
    if (joint != -INFINITY) grad_logits[v] -= exp(joint - log_p[v] - largest) / sum;
  }
  for (int v = 0; v < V; ++v) grad_logits[v] *= weights[n];
}
