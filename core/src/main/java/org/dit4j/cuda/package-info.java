/** What runs on NVIDIA's cards beyond LibTorch: kernels compiled at run time, products by cuBLASLt. Loaded only where a card is used. */
package org.dit4j.cuda;
