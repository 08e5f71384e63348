/** What a person sees while the library works: the progress line in the terminal. */
package org.dit4j.report;
