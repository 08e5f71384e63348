/** Fused operations and operators that LibTorch has but JavaCPP does not map. */
package org.dit4j.kernels;
