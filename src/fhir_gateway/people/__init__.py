"""Pure: NIKs, names, dates, phones and addresses as clinics write them."""
