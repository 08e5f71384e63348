// Kernels of the fused trunk and of a training step. Compiled at run time for one hidden size D (a multiple of 4) by NvrtcModule.
// The residual stream, its gradient, statistics and gradients of parameters are float32; what products take and give is bfloat16.
// Each sums in a fixed order, so that the same input gives the same bits. AtenFusedKernels and AtenKernels define what they compute.

typedef unsigned short bf16;
typedef unsigned int u32;
typedef unsigned long long u64;

__device__ __forceinline__ float load(bf16 x) { return __uint_as_float((u32)x << 16); }

// to nearest, ties to even
__device__ __forceinline__ bf16 round_bf16(float x) {
  bf16 r;
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(r) : "f"(x));
  return r;
}

struct __align__(8) Four16 { bf16 v[4]; };
struct __align__(16) Eight16 { bf16 v[8]; };
struct __align__(16) Four32 { float v[4]; };

__device__ __forceinline__ Four32 get4(const float* p) { return *(const Four32*)p; }
__device__ __forceinline__ Four32 get4(const bf16* p) {
  Four16 h = *(const Four16*)p;
  Four32 r;
#pragma unroll
  for (int i = 0; i < 4; i++) r.v[i] = load(h.v[i]);
  return r;
}
__device__ __forceinline__ void put4(float* p, Four32 x) { *(Four32*)p = x; }
__device__ __forceinline__ void put4(bf16* p, Four32 x) {
  Four16 h;
#pragma unroll
  for (int i = 0; i < 4; i++) h.v[i] = round_bf16(x.v[i]);
  *(Four16*)p = h;
}

__device__ __forceinline__ float warp_sum(float x) {
#pragma unroll
  for (int o = 16; o > 0; o >>= 1) x += __shfl_xor_sync(0xffffffffu, x, o);
  return x;
}

// One warp a row of D numbers. With BRANCH: sum <- x + gate * branch. Then normal <- LayerNorm(sum) * (1 + scale) + shift.
#define LANE_PARTS ((D + 127) / 128)

template <bool BRANCH>
__device__ __forceinline__ void junction_row(const float* x, const bf16* branch, const float* shift, const float* scale,
    const float* gate, float eps, float* sum, bf16* normal, float* statistics) {
  const int lane = threadIdx.x & 31;
  Four32 s[LANE_PARTS];
  float total = 0;
#pragma unroll
  for (int k = 0; k < LANE_PARTS; k++) {
    int at = k * 128 + lane * 4;
    if (at < D) {
      s[k] = get4(x + at);
      if (BRANCH) {
        Four32 b = get4(branch + at), g = get4(gate + at);
#pragma unroll
        for (int i = 0; i < 4; i++) s[k].v[i] += g.v[i] * b.v[i];
        put4(sum + at, s[k]);
      }
#pragma unroll
      for (int i = 0; i < 4; i++) total += s[k].v[i];
    }
  }
  float mean = warp_sum(total) * (1.0f / D), squares = 0;
#pragma unroll
  for (int k = 0; k < LANE_PARTS; k++)
    if (k * 128 + lane * 4 < D) {
#pragma unroll
      for (int i = 0; i < 4; i++) squares += (s[k].v[i] - mean) * (s[k].v[i] - mean);
    }
  float inverse = rsqrtf(warp_sum(squares) * (1.0f / D) + eps);
#pragma unroll
  for (int k = 0; k < LANE_PARTS; k++) {
    int at = k * 128 + lane * 4;
    if (at < D) {
      Four32 f = get4(shift + at), c = get4(scale + at), y;
#pragma unroll
      for (int i = 0; i < 4; i++) y.v[i] = (s[k].v[i] - mean) * inverse * (1 + c.v[i]) + f.v[i];
      put4(normal + at, y);
    }
  }
  if (lane == 0) {
    statistics[0] = mean;
    statistics[1] = inverse;
  }
}

extern "C" __global__ void __launch_bounds__(128) junction(const float* x, const bf16* branch, const float* shift, const float* scale,
    const float* gate, long long stride, long long gate_stride, float eps, float* sum, bf16* normal, float* statistics, int rows,
    int tokens) {
  int row = blockIdx.x * (blockDim.x >> 5) + (threadIdx.x >> 5);
  if (row >= rows) return;
  long long at = (long long)row * D, m = (row / tokens) * stride;
  junction_row<true>(x + at, branch + at, shift + m, scale + m, gate + (row / tokens) * gate_stride, eps, sum + at, normal + at, statistics + 2ll * row);
}

extern "C" __global__ void __launch_bounds__(128) junction_first(const float* x, const float* shift, const float* scale,
    long long stride, float eps, bf16* normal, float* statistics, int rows, int tokens) {
  int row = blockIdx.x * (blockDim.x >> 5) + (threadIdx.x >> 5);
  if (row >= rows) return;
  long long at = (long long)row * D, m = (row / tokens) * stride;
  junction_row<false>(x + at, 0, shift + m, scale + m, 0, eps, 0, normal + at, statistics + 2ll * row);
}

// The backward pass of a junction: a block has ROWS rows of one sample, each thread four columns, TOGETHER rows at once. The sums over the
// tokens go to partial[block][4][D] (shift, scale, gate, gradient) and are finished by junction_sums.
#define ROWS 32
#ifndef TOGETHER
#define TOGETHER 2
#endif
#define BACK_THREADS ((D / 4 + 31) / 32 * 32)
#define BACK_WARPS (BACK_THREADS / 32)

// what one thread reads of a row
struct Row { Four16 dnormal, branch; Four32 sum, gradient; float mean, inverse; };

template <bool BRANCH>
__device__ __forceinline__ Row read_row(const bf16* dnormal, const float* sum, const float* statistics, const bf16* branch,
    const float* gradient, long long row, int col) {
  long long at = row * D + col;
  Row r;
  r.dnormal = *(const Four16*)(dnormal + at);
  r.sum = get4(sum + at);
  r.gradient = get4(gradient + at);
  if (BRANCH) r.branch = *(const Four16*)(branch + at);
  float2 s = *(const float2*)(statistics + 2 * row);
  r.mean = s.x;
  r.inverse = s.y;
  return r;
}

template <bool BRANCH>
__device__ __forceinline__ void junction_back(const bf16* dnormal, const float* sum, const float* statistics, const bf16* branch,
    const float* scale, const float* gate, long long stride, long long gate_stride, float* gradient, bf16* dbranch, float* partial,
    int tokens, int chunks) {
  __shared__ float shared[2][2 * TOGETHER][BACK_WARPS];
  const int col = threadIdx.x * 4, warp = threadIdx.x >> 5, lane = threadIdx.x & 31;
  const bool in = col < D;
  const int sample = blockIdx.x / chunks, begin = (blockIdx.x % chunks) * ROWS, end = min(begin + ROWS, tokens);
  const long long first = (long long)sample * tokens;
  Four32 one = {0, 0, 0, 0}, g = {0, 0, 0, 0}, a_shift = {0, 0, 0, 0}, a_scale = {0, 0, 0, 0}, a_gate = {0, 0, 0, 0}, a_grad = {0, 0, 0, 0};
  if (in) {
    one = get4(scale + sample * stride + col);
#pragma unroll
    for (int i = 0; i < 4; i++) one.v[i] += 1;
    if (BRANCH) g = get4(gate + sample * gate_stride + col);
  }
  int side = 0;
  for (int t = begin; t < end; t += TOGETHER, side ^= 1) {
    Row now[TOGETHER];
    Four32 hat[TOGETHER], inner[TOGETHER];
    float c1[TOGETHER], c2[TOGETHER];
#pragma unroll
    for (int r = 0; r < TOGETHER; r++)
      if (t + r < end && in) now[r] = read_row<BRANCH>(dnormal, sum, statistics, branch, gradient, first + t + r, col);
#pragma unroll
    for (int r = 0; r < TOGETHER; r++) {
      c1[r] = c2[r] = 0;
      if (t + r < end && in) {
#pragma unroll
        for (int i = 0; i < 4; i++) {
          float dy = load(now[r].dnormal.v[i]);
          hat[r].v[i] = (now[r].sum.v[i] - now[r].mean) * now[r].inverse;
          a_shift.v[i] += dy;
          a_scale.v[i] += dy * hat[r].v[i];
          inner[r].v[i] = dy * one.v[i];
          c1[r] += inner[r].v[i];
          c2[r] += inner[r].v[i] * hat[r].v[i];
        }
      }
    }
#pragma unroll
    for (int r = 0; r < TOGETHER; r++) {
      c1[r] = warp_sum(c1[r]);
      c2[r] = warp_sum(c2[r]);
      if (lane == 0) {
        shared[side][2 * r][warp] = c1[r];
        shared[side][2 * r + 1][warp] = c2[r];
      }
    }
    __syncthreads(); // the other side is written before the next one, when all have read this one
#pragma unroll
    for (int r = 0; r < TOGETHER; r++) {
      float m1 = 0, m2 = 0;
#pragma unroll
      for (int w = 0; w < BACK_WARPS; w++) {
        m1 += shared[side][2 * r][w];
        m2 += shared[side][2 * r + 1][w];
      }
      m1 *= 1.0f / D;
      m2 *= 1.0f / D;
      if (t + r < end && in) {
        long long at = (first + t + r) * D + col;
        Four32 into = now[r].gradient;
#pragma unroll
        for (int i = 0; i < 4; i++) into.v[i] += (inner[r].v[i] - m1 - hat[r].v[i] * m2) * now[r].inverse;
        put4(gradient + at, into);
        if (BRANCH) {
          Four32 d;
#pragma unroll
          for (int i = 0; i < 4; i++) {
            a_gate.v[i] += into.v[i] * load(now[r].branch.v[i]);
            a_grad.v[i] += into.v[i];
            d.v[i] = into.v[i] * g.v[i];
          }
          put4(dbranch + at, d);
        }
      }
    }
  }
  if (in) {
    float* p = partial + (long long)blockIdx.x * 4 * D + col;
    put4(p, a_shift);
    put4(p + D, a_scale);
    if (BRANCH) {
#pragma unroll
      for (int i = 0; i < 4; i++) a_grad.v[i] *= g.v[i]; // the gate is the sample's, so it may follow the sum
      put4(p + 2 * D, a_gate);
      put4(p + 3 * D, a_grad);
    }
  }
}

extern "C" __global__ void __launch_bounds__(BACK_THREADS) junction_backward(const bf16* dnormal, const float* sum,
    const float* statistics, const bf16* branch, const float* scale, const float* gate, long long stride, long long gate_stride,
    float* gradient, bf16* dbranch, float* partial, int tokens, int chunks) {
  junction_back<true>(dnormal, sum, statistics, branch, scale, gate, stride, gate_stride, gradient, dbranch, partial, tokens, chunks);
}

extern "C" __global__ void __launch_bounds__(BACK_THREADS) junction_first_backward(const bf16* dnormal, const float* sum,
    const float* statistics, const float* scale, long long stride, float* gradient, float* partial, int tokens, int chunks) {
  junction_back<false>(dnormal, sum, statistics, 0, scale, 0, stride, 0, gradient, 0, partial, tokens, chunks);
}

// The sums of one column: 32 lanes of 32 columns, each of which takes every 32nd part.
__device__ __forceinline__ float sum_of_parts(const float* from, int parts, long long distance, float (*shared)[33]) {
  int lane = threadIdx.x >> 5, column = threadIdx.x & 31;
  float total = 0;
#pragma unroll 8
  for (int p = lane; p < parts; p += 32) total += from[p * distance];
  shared[lane][column] = total;
  __syncthreads();
  // transposed, so that a warp adds one column
  total = warp_sum(shared[column][lane]);
  __syncthreads();
  if (column == 0) shared[0][lane] = total;
  __syncthreads();
  return shared[0][column];
}

// Finishes the three sums of a sample in a junction's backward pass; dshift, dscale and dgate are rows of the given strides. Without a branch
// there is no dgate.
extern "C" __global__ void __launch_bounds__(256) junction_sums(const float* partial, float* dshift, float* dscale, float* dgate,
    long long stride, long long gate_stride, int chunks) {
  __shared__ float shared[8][3][32];
  int column = threadIdx.x & 31, lane = threadIdx.x >> 5, col = blockIdx.x * 32 + column, sums = dgate ? 3 : 2;
  float total[3] = {0, 0, 0};
  if (col < D)
    for (int c = lane; c < chunks; c += 8)
#pragma unroll
      for (int s = 0; s < 3; s++)
        if (s < sums) total[s] += partial[((long long)(blockIdx.y * chunks + c) * 4 + s) * D + col];
#pragma unroll
  for (int s = 0; s < 3; s++) shared[lane][s][column] = total[s];
  __syncthreads();
  if (lane >= sums || col >= D) return;
  float sum = 0;
#pragma unroll
  for (int l = 0; l < 8; l++) sum += shared[l][lane][column];
  if (lane == 2) dgate[blockIdx.y * gate_stride + col] = sum;
  else (lane == 0 ? dshift : dscale)[blockIdx.y * stride + col] = sum;
}

// to some 1e-6, for which two fast instructions are enough
__device__ __forceinline__ float tanh_of(float x) { return 1 - __fdividef(2, 1 + __expf(fminf(2 * x, 80))); }

__device__ __forceinline__ float gelu_of(float x) {
  return 0.5f * x * (1 + tanh_of(0.7978845608028654f * (x + 0.044715f * x * x * x)));
}

// eight numbers a thread
extern "C" __global__ void __launch_bounds__(256) gelu(const bf16* before, bf16* after, long long count) {
  long long at = ((long long)blockIdx.x * 256 + threadIdx.x) * 8;
  if (at >= count) return;
  if (at + 8 <= count) {
    Eight16 x = *(const Eight16*)(before + at);
#pragma unroll
    for (int i = 0; i < 8; i++) x.v[i] = round_bf16(gelu_of(load(x.v[i])));
    *(Eight16*)(after + at) = x;
  } else
    for (; at < count; at++) after[at] = round_bf16(gelu_of(load(before[at])));
}

// gradient <- gradient * GELU'(before) in place, and after <- GELU(before) unless after is null; column sums of SUM_ROWS rows to
// partial[blockIdx.y][width]; eight columns a thread
#define SUM_ROWS 64
extern "C" __global__ void __launch_bounds__(128) gelu_backward(const bf16* before, bf16* after, bf16* gradient, float* partial,
    int rows, int width) {
  int col = (blockIdx.x * 128 + threadIdx.x) * 8;
  if (col >= width) return;
  float sums[8] = {0, 0, 0, 0, 0, 0, 0, 0};
  int end = min((int)(blockIdx.y + 1) * SUM_ROWS, rows);
#pragma unroll 4
  for (int row = blockIdx.y * SUM_ROWS; row < end; row++) {
    long long at = (long long)row * width + col;
    Eight16 x = *(const Eight16*)(before + at), g = *(const Eight16*)(gradient + at);
#pragma unroll
    for (int i = 0; i < 8; i++) {
      float f = load(x.v[i]), half = 0.5f * (1 + tanh_of(0.7978845608028654f * (f + 0.044715f * f * f * f)));
      // of GELU = f * half: half' = 2 half (1 - half) times the slope of what the tanh is of
      float d = load(g.v[i]) * (half + f * 2 * half * (1 - half) * 0.7978845608028654f * (1 + 3 * 0.044715f * f * f));
      sums[i] += d;
      g.v[i] = round_bf16(d);
      x.v[i] = round_bf16(f * half);
    }
    *(Eight16*)(gradient + at) = g;
    if (after) *(Eight16*)(after + at) = x;
  }
  for (int i = 0; i < 8; i++) partial[(long long)blockIdx.y * width + col + i] = sums[i];
}

// (N, T, heads, d) gradients of queries, keys and values, of any strides but 1 in d, to the packed (N, T, 3, heads, d); column sums as above.
// Eight columns a thread, d a multiple of 8; blockIdx.z is which of the three.
extern "C" __global__ void __launch_bounds__(512) pack_qkv(const bf16* q, const bf16* k, const bf16* v, long long q_sample,
    long long q_token, long long q_head, long long k_sample, long long k_token, long long k_head, long long v_sample, long long v_token,
    long long v_head, bf16* packed, float* partial, int rows, int tokens, int heads, int d) {
  int width = heads * d, col = (blockIdx.x * blockDim.x + threadIdx.x) * 8, which = blockIdx.z;
  if (col >= width) return;
  const bf16* from = which == 0 ? q : which == 1 ? k : v;
  long long sample = which == 0 ? q_sample : which == 1 ? k_sample : v_sample;
  long long token = which == 0 ? q_token : which == 1 ? k_token : v_token;
  long long column = (col / d) * (which == 0 ? q_head : which == 1 ? k_head : v_head) + col % d;
  float sums[8] = {0, 0, 0, 0, 0, 0, 0, 0};
  int end = min((int)(blockIdx.y + 1) * SUM_ROWS, rows);
#pragma unroll 4
  for (int row = blockIdx.y * SUM_ROWS; row < end; row++) {
    Eight16 x = *(const Eight16*)(from + row / tokens * sample + row % tokens * token + column);
#pragma unroll
    for (int i = 0; i < 8; i++) sums[i] += load(x.v[i]);
    *(Eight16*)(packed + ((long long)row * 3 + which) * width + col) = x;
  }
  for (int i = 0; i < 8; i++) partial[((long long)blockIdx.y * 3 + which) * width + col + i] = sums[i];
}

// sums[col] += the column's partial sums, which lie at a distance
extern "C" __global__ void __launch_bounds__(1024) column_sums(const float* partial, float* sums, int parts, long long distance, int width) {
  __shared__ float shared[32][33];
  int col = blockIdx.x * 32 + (threadIdx.x & 31);
  float sum = sum_of_parts(partial + min(col, width - 1), parts, distance, shared);
  if (threadIdx.x < 32 && col < width) sums[col] += sum;
}

// Keeps the card busy for so many cycles, while the host gives it what is to be timed.
extern "C" __global__ void delay(long long cycles) {
  long long begin = clock64();
  while (clock64() - begin < cycles) {}
}

// What all elements of an AdamW step share, from what changes from step to step, in double: out <- rate, rate / (1 - beta1^step),
// 1 / sqrt(1 - beta2^step)
extern "C" __global__ void adamw_scalars(const float* step, const float* rate, double beta1, double beta2, float* out) {
  double n = *step, lr = *rate;
  out[0] = *rate;
  out[1] = (float)(lr / (1 - pow(beta1, n)));
  out[2] = (float)(1 / sqrt(1 - pow(beta2, n)));
}

struct Moved { float p, m, v, a; };

__device__ __forceinline__ Moved adamw(float p, float g, float m, float v, float a, float lr_decay, float lr1, float root2, float w,
    float beta1, float beta2, float rest1, float rest2, float eps) {
  p -= lr_decay * p;
  m = beta1 * m + rest1 * g;
  v = beta2 * v + rest2 * g * g;
  p -= __fdividef(lr1 * m, sqrtf(v) * root2 + eps);
  a += w * (p - a);
  Moved r = {p, m, v, a};
  return r;
}

// One step of AdamW, the average after it and the rounded copy of the weights; nothing where skip is 1. rounded may be null. Four elements
// a thread.
extern "C" __global__ void __launch_bounds__(256) adamw_ema(float* values, bf16* rounded, const float* gradients, float* first,
    float* second, float* average, const float* skip, const float* scalars, const float* share, float beta1, float beta2,
    float rest1, float rest2, float eps, float decay, long long count) {
  if (*skip == 1.0f) return;
  float lr_decay = scalars[0] * decay, lr1 = scalars[1], root2 = scalars[2], w = *share;
  long long at = ((long long)blockIdx.x * 256 + threadIdx.x) * 4;
  if (at + 4 <= count) {
    Four32 p = get4(values + at), g = get4(gradients + at), m = get4(first + at), v = get4(second + at), a = get4(average + at);
#pragma unroll
    for (int i = 0; i < 4; i++) {
      Moved r = adamw(p.v[i], g.v[i], m.v[i], v.v[i], a.v[i], lr_decay, lr1, root2, w, beta1, beta2, rest1, rest2, eps);
      p.v[i] = r.p;
      m.v[i] = r.m;
      v.v[i] = r.v;
      a.v[i] = r.a;
    }
    put4(values + at, p);
    put4(first + at, m);
    put4(second + at, v);
    put4(average + at, a);
    if (rounded) put4(rounded + at, p);
  } else
    for (; at < count; at++) {
      Moved r = adamw(values[at], gradients[at], first[at], second[at], average[at], lr_decay, lr1, root2, w, beta1, beta2, rest1, rest2, eps);
      values[at] = r.p;
      first[at] = r.m;
      second[at] = r.v;
      average[at] = r.a;
      if (rounded) rounded[at] = round_bf16(r.p);
    }
}
