/** The training loop: flat buffers, AdamW, EMA, the trainer and its configuration. */
package org.dit4j.train;
