/** What a person sees of runs and of pictures: progress, summaries, curves, grids and their texts; knows no command line. */
package org.dit4j.report;
