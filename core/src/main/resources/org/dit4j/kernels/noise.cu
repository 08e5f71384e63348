// The counter-based generator of org.dit4j.torch.Noise, to the same bits: compiled with -fmad=false, since a contracted product rounds otherwise.

typedef unsigned int u32;
typedef unsigned long long u64;

struct Words { u32 w[4]; };

__device__ __forceinline__ Words philox(u64 seed, u32 stream, u64 index, u32 block) {
  u32 c0 = block, c1 = stream, c2 = (u32)index, c3 = (u32)(index >> 32), k0 = (u32)seed, k1 = (u32)(seed >> 32);
#pragma unroll
  for (int round = 0; round < 10; round++) {
    u64 p0 = 0xD2511F53ull * c0, p1 = 0xCD9E8D57ull * c2;
    u32 n0 = (u32)(p1 >> 32) ^ c1 ^ k0, n2 = (u32)(p0 >> 32) ^ c3 ^ k1;
    c1 = (u32)p1;
    c3 = (u32)p0;
    c0 = n0;
    c2 = n2;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  Words r = {{c0, c1, c2, c3}};
  return r;
}

__device__ double ln(double x) {
  u64 bits = (u64)__double_as_longlong(x);
  int exponent = (int)(bits >> 52 & 0x7FF) - 1023;
  double m = __longlong_as_double((long long)((bits & 0x000FFFFFFFFFFFFFull) | 0x3FF0000000000000ull));
  if (m > 1.4142135623730951) {
    m *= 0.5;
    exponent++;
  }
  double z = (m - 1) / (m + 1), w = z * z;
  double series = 1.0 / 19;
#pragma unroll
  for (int k = 17; k >= 1; k -= 2) series = series * w + 1.0 / k;
  return 2 * z * series + exponent * 0.6931471805599453;
}

__device__ double sin_series(double x) {
  double w = x * x, term = 1;
#pragma unroll
  for (int k = 14; k >= 2; k -= 2) term = 1 - w * term / (k * (k + 1));
  return x * term;
}

__device__ double cos_series(double x) {
  double w = x * x, term = 1;
#pragma unroll
  for (int k = 15; k >= 1; k -= 2) term = 1 - w * term / (k * (k + 1));
  return term;
}

__device__ double cos_turn(double turn) {
  double t = fabs(turn);
  if (t > 0.5) t = 1 - t;
  bool negative = t > 0.25;
  if (negative) t = 0.5 - t;
  double value = t > 0.125 ? sin_series((0.25 - t) * 6.283185307179586) : cos_series(t * 6.283185307179586);
  return negative ? -value : value;
}

// out[i][0 .. row) for indices[i]; a thread makes the four numbers of one block of the generator
extern "C" __global__ void __launch_bounds__(128) normal(u64 seed, u32 stream, const long long* indices, float* out, int rows, int row) {
  int blocks = (row + 3) / 4, at = blockIdx.x * 128 + threadIdx.x;
  if (at >= rows * (long long)blocks) return;
  int r = at / blocks, block = at % blocks;
  Words words = philox(seed, stream, (u64)indices[r], block);
  for (int pair = 0; pair < 4 && block * 4 + pair < row; pair += 2) {
    double u = ((double)words.w[pair] + 1) * 2.3283064365386963e-10;
    double turn = (double)words.w[pair + 1] * 2.3283064365386963e-10;
    double radius = sqrt(-2 * ln(u));
    float* to = out + (long long)r * row + block * 4 + pair;
    to[0] = (float)(radius * cos_turn(turn));
    if (block * 4 + pair + 1 < row) to[1] = (float)(radius * cos_turn(turn - 0.25));
  }
}
