/**
 * Forward processes and losses; knows no network. Letters of shapes: N batch, C channels, H and W latent pixels, T timesteps.
 */
package org.dit4j.diffusion;
