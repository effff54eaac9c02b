// Windows over planes as columns or rows, and back; rows chosen by index, and their sums.
//
// Layouts: x [P, H, W], columns [P, KH KW, HO WO]. Element (kh, kw) of window (ho, wo) is over row
// ho SH - PH + kh DH and column wo SW - PW + kw DW of its plane.
//
// Parameters:
//   ITEM   elements of a work-item.

#ifndef ITEM
#define ITEM 1
#endif

/// columns = the elements of x under the windows, `padding` beyond x. Global size: at least
/// ceil(count / ITEM).
kernel void
unfold(global const float *x, global float *columns, int count, int H, int W, int KH, int KW,
       int HO, int WO, int SH, int SW, int DH, int DW, int PH, int PW, float padding) {
  const int first = get_global_id(0) * ITEM, end = min(first + ITEM, count);
  for (int i = first; i < end;) {
    const int row = i / WO, from = i - row * WO, run = min(end - i, WO - from);
    const int ho = row % HO, element = row / HO % (KH * KW), p = row / HO / (KH * KW);
    const int h = ho * SH - PH + element / KW * DH, w0 = element % KW * DW - PW;
    global const float *source = x + ((size_t)p * H + h) * W;
    const int has_row = h >= 0 && h < H;
    for (int j = 0; j < run; ++j) {
      const int w = (from + j) * SW + w0;
      columns[i + j] = has_row && w >= 0 && w < W ? source[w] : padding;
    }
    i += run;
  }
}

/// The same windows as rows [P / C, HO WO, C KH KW], of images of C planes; 0 beyond x. Global
/// size: at least ceil(count / ITEM).
kernel void
unfold_rows(global const float *x, global float *rows, int count, int C, int H, int W, int KH,
            int KW, int HO, int WO, int SH, int SW, int DH, int DW, int PH, int PW) {
  const int first = get_global_id(0) * ITEM, end = min(first + ITEM, count);
  int kw = first % KW, kh = first / KW % KH, window = first / KW / KH;
  int c = window % C;
  window /= C;
  int wo = window % WO, ho = window / WO % HO, n = window / WO / HO;
  for (int i = first; i < end;) {
    const int run = min(end - i, KW - kw), h = ho * SH - PH + kh * DH, w0 = wo * SW - PW;
    global const float *source = x + (((size_t)n * C + c) * H + h) * W;
    const int has_row = h >= 0 && h < H;
    for (int j = 0; j < run; ++j) {
      const int w = w0 + (kw + j) * DW;
      rows[i + j] = has_row && w >= 0 && w < W ? source[w] : 0.0f;
    }
    i += run;
    kw = 0;
    if (++kh < KH) continue;
    kh = 0;
    if (++c < C) continue;
    c = 0;
    if (++wo < WO) continue;
    wo = 0;
    if (++ho < HO) continue;
    ho = 0;
    ++n;
  }
}

/// x[p, h, w] = the sum of the places of the columns that it was copied to, in the order of the
/// windows' elements. Global size: at least ceil(count / ITEM).
kernel void fold(global const float *columns, global float *x, int count, int H, int W, int KH,
                 int KW, int HO, int WO, int SH, int SW, int DH, int DW, int PH, int PW) {
  const int first = get_global_id(0) * ITEM, end = min(first + ITEM, count);
  for (int i = first; i < end; ++i) {
    const int w = i % W, h = i / W % H, p = i / W / H;
    global const float *plane = columns + (size_t)p * KH * KW * HO * WO;
    float sum = 0.0f;
    for (int kh = 0; kh < KH; ++kh) {
      const int top = h + PH - kh * DH, ho = top / SH;
      if (top < 0 || ho * SH != top || ho >= HO) continue;
      for (int kw = 0; kw < KW; ++kw) {
        const int left = w + PW - kw * DW, wo = left / SW;
        if (left < 0 || wo * SW != left || wo >= WO) continue;
        sum += plane[((size_t)(kh * KW + kw) * HO + ho) * WO + wo];
      }
    }
    x[i] = sum;
  }
}

/// y[o, m, i] = x[o, indices[m], i], 0 for a negative index; y [outer, M, inner], x [outer, V,
/// inner]. Global size: ceil(inner / ITEM), ceil(rows / rows_per_item); rows = outer M.
kernel void gather(global const float *x, global const int *indices, global float *y, int V, int M,
                   int inner, int rows, int rows_per_item) {
  const int first = get_global_id(0) * ITEM, end = min(first + ITEM, inner);
  int row = get_global_id(1) * rows_per_item;
  const int end_row = min(row + rows_per_item, rows);
  for (int o = row / M, m = row % M; row < end_row; ++row) {
    const int index = indices[m];
    global const float *source = x + ((size_t)o * V + index) * inner;
    global float *own = y + (size_t)row * inner;
    for (int i = first; i < end; ++i) own[i] = index < 0 ? 0.0f : source[i];
    if (++m == M) m = 0, ++o;
  }
}

/// x[o, v, i] = the sum of y[o, m, i] over the m of v, which are places[starts[v]] to before
/// places[starts[v + 1]]. Global size: ceil(inner / ITEM), outer V.
kernel void scatter(global const float *y, global const int *starts, global const int *places,
                    global float *x, int V, int M, int inner) {
  const int row = get_global_id(1), o = row / V, v = row % V;
  const int first = get_global_id(0) * ITEM, end = min(first + ITEM, inner);
  y += (size_t)o * M * inner;
  x += (size_t)row * inner;
  for (int i = first; i < end; ++i) x[i] = 0.0f;
  for (int place = starts[v]; place < starts[v + 1]; ++place) {
    global const float *source = y + (size_t)places[place] * inner;
    for (int i = first; i < end; ++i) x[i] += source[i];
  }
}
