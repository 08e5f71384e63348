/**
 * Bytes ↔ named tensors and pictures; knows no model.
 *
 * <p>{@link org.dit4j.io.Safetensors}, {@link org.dit4j.io.TorchFile} ({@code .pt}, without Python), {@link org.dit4j.io.Npy},
 * {@link org.dit4j.io.Npz} and {@link org.dit4j.io.Images}. Every reader takes its file for hostile: sizes are compared with the file
 * before memory is taken, nothing is unpacked, nested or looked up without a bound, and what is wrong is a
 * {@link org.dit4j.io.FormatException} that names the file and the place. Every writer leaves a whole file or none
 * ({@link org.dit4j.io.AtomicFile}).
 */
package org.dit4j.io;
