"""What an evaluation leaves behind: tables, records, pictures, comparisons."""
