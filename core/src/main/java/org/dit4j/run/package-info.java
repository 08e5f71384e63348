/** A training run and its folder: opening and repair, the loop, its cadence, logs, saving, going back. The arithmetic of a step is train's. */
package org.dit4j.run;
