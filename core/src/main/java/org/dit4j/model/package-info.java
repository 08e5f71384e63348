/**
 * The network. Letters in comments: N batch, T tokens, S conditioning tokens, D hidden size, C channels, H and W latent pixels, p patch
 * size, h = H/p and w = W/p.
 */
package org.dit4j.model;
