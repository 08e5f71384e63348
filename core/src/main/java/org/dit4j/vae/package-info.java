/**
 * Pixels ↔ latents: the autoencoders in whose latent space the diffusion happens, behind one {@link org.dit4j.vae.LatentCodec}.
 *
 * <p>Letters of shapes: N batch, C latent channels, H W image pixels, h w latent pixels (H = downsampling · h).
 * {@code rawLatents} are as the autoencoder gives them, {@code latents} are scaled for the transformer ({@link org.dit4j.vae.LatentScaling}).
 */
package org.dit4j.vae;
