/** From noise to latents: a solver is a function, never an object with state. Letters of shapes: N batch, C channels, H and W latent pixels. */
package org.dit4j.sample;
