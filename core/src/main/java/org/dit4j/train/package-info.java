/** The arithmetic of a training step: what is learned, how it is computed, and the state that it changes. Of folders it knows nothing. */
package org.dit4j.train;
