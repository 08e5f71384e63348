/** Which names mean what; weights with what is needed to use them; the state of a run. */
package org.dit4j.checkpoint;
