"""What a mode is: who hears whom live, who hears made speech, where the words come from."""
